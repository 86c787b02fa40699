//! The program with the conformance suites' fixtures beside its tools, for tests alone.

use std::process::ExitCode;

fn main() -> ExitCode {
    sat_mcp::cli::main_with_fixtures()
}
