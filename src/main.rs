//! The program: parse the command line, call the library, choose the exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    sat_mcp::cli::main()
}
