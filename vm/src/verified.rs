//! What is relied upon because the verifier proved it.

/// Says that a verified module breaks a requirement, by its number: a defect of this program, which ends debug builds here.
/// Others go on with what makes the rule at hand an error; it never counts as false.
#[cold]
#[inline(never)]
pub(crate) fn broken(requirement: u8) {
    debug_assert!(false, "a verified module breaks V{requirement}");
}
