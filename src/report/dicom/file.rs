//! A DICOM file (PS3.10 7.1) in Explicit VR Little Endian, written front to back.

use std::io::Write;

use dicom_dictionary_std::uids;
use dicom_object::meta::FileMetaTableBuilder;
use dicom_transfer_syntax_registry::TransferSyntax;
use dicom_transfer_syntax_registry::entries::EXPLICIT_VR_LITTLE_ENDIAN;

use super::DicomError;
use super::elements::Item;
use super::uids::derived;

/// Preamble, meta information and the data set.
pub(super) fn write(
    to: &mut impl Write,
    class: &str,
    instance: &str,
    dataset: &Item,
    version: &str,
) -> Result<(), DicomError> {
    let meta = FileMetaTableBuilder::new()
        .media_storage_sop_class_uid(class)
        .media_storage_sop_instance_uid(instance)
        .transfer_syntax(uids::EXPLICIT_VR_LITTLE_ENDIAN)
        .implementation_class_uid(derived(&["sat-mcp"]))
        .implementation_version_name(super::elements::fit(&format!("SAT-MCP_{version}"), dicom_core::VR::SH))
        .build()
        .map_err(|error| DicomError::Encode(error.into()))?;
    to.write_all(&[0; 128])?;
    to.write_all(b"DICM")?;
    meta.write(&mut *to).map_err(|error| DicomError::Encode(error.into()))?;
    encode(to, dataset)
}

/// A data set or an item's contents.
pub(super) fn encode(to: &mut impl Write, dataset: &Item) -> Result<(), DicomError> {
    dataset
        .write_dataset_with_ts(to, &syntax())
        .map_err(|error| DicomError::Encode(error.into()))
}

fn syntax() -> TransferSyntax {
    EXPLICIT_VR_LITTLE_ENDIAN.erased()
}
