//! placeholder
use crate::error::Result;
pub struct Generated {
    pub id: String,
    pub secret: secrecy::SecretString,
    pub hash: [u8; 32],
}
pub fn generate() -> Result<Generated> {
    generate_for("")
}
pub fn generate_for(_id: &str) -> Result<Generated> {
    Err(crate::error::ServiceError::internal(""))
}
