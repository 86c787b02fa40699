#!/bin/sh
# Leaves of a Python environment what sat-mcp reads: libraries of ONNX Runtime and NVIDIA, their licences, and the
# folders in which pip keeps the packages' names and versions.
set -eu
cd "$1"/lib/python3*/site-packages
for entry in *; do
  case "$entry" in
    onnxruntime | nvidia | onnxruntime*.dist-info | nvidia*.dist-info) ;;
    *) rm -rf "$entry" ;;
  esac
done
find . -type f ! -path './*.dist-info/*' ! -name '*.so' ! -name '*.so.*' ! -iname '*license*' ! -iname '*notices*' -delete
# The extension through which Python calls the library; the program calls it itself.
find onnxruntime -name '*pybind*' -delete
find . -type d -empty -delete
