use policy_requests::Node;
use policy_primitives::tokens::Family;
#[derive(Debug, Default)]
pub(crate) struct Normalizer;
impl Normalizer { pub(crate) fn normalize(&mut self, t: &str, out: &mut String) { out.extend(t.chars().flat_map(char::to_lowercase)); } }
pub(crate) mod image { pub(crate) fn tokens(_m: &str, _d: Option<&str>, _x: Option<&str>) -> u64 { 1445 } }
pub(crate) mod tools { pub(crate) fn render<'a, N: super::Node<'a>>(_n: N, out: &mut String) { out.push_str("tool tool tool tool tool tool tool tool tool tool tool tool tool tool tool tool tool tool tool tool tool"); } }
pub(crate) fn tool_overhead(_f: Family) -> u64 { 12 }
