//! Compiles `policy.proto` without `protoc`: descriptors by `protox`, code by `tonic-prost-build`, both to `OUT_DIR`.

use prost::Message as _;
use std::error::Error;
use std::path::PathBuf;

fn main() -> Result<(), Box<dyn Error>> {
    for file in ["policy.proto", "google/rpc/status.proto"] {
        println!("cargo:rerun-if-changed={file}");
    }
    let out = PathBuf::from(std::env::var_os("OUT_DIR").ok_or("OUT_DIR is not set")?);
    let descriptors = protox::compile(["policy.proto", "google/rpc/status.proto"], ["."])?;
    // Reflection hands these out, comments left out: they would be three quarters of the bytes.
    let mut lean = descriptors.clone();
    for file in &mut lean.file {
        file.source_code_info = None;
    }
    std::fs::write(out.join("descriptors.bin"), lean.encode_to_vec())?;
    tonic_prost_build::configure()
        // Contexts as JSON are handed to the engine without being copied.
        .bytes(".llmpolicy.v1.EvaluatePolicyRequest.context_json")
        .bytes(".llmpolicy.v1.SimulateRequest.context_json")
        .bytes(".llmpolicy.v1.EvaluatePolicyResponse.response_json")
        .compile_fds(descriptors)?;
    Ok(())
}
