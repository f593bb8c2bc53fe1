//! Names that somebody gave and that are no settings: what they are probably meant to be.

use super::CONFIG_FILE;
use super::table::{FILE_SUFFIX, SETTINGS, setting};

/// Every name that a setting has in the environment.
pub(crate) fn names() -> impl Iterator<Item = String> {
    SETTINGS
        .iter()
        .flat_map(|setting| std::iter::once(setting.name.to_owned()).chain(setting.file_name()))
}

/// The name of a setting that is the nearest to this one, and how many letters differ.
pub(super) fn nearest(name: &str) -> Option<(usize, String)> {
    names()
        .map(|of| (strsim::damerau_levenshtein(&of, name), of))
        .min()
}

/// What to say of an environment variable that is no setting and looks like one.
pub(super) fn stranger(name: &str) -> Option<String> {
    let spelled = name.to_ascii_uppercase().replace('-', "_");
    if let Some(setting) = spelled.strip_suffix(FILE_SUFFIX).and_then(setting)
        && setting.file_name().is_none()
    {
        let is_path = ["FILE", "DIR"].iter().any(|what| setting.value.starts_with(what));
        let instead = if is_path {
            format!("{} itself names the file", setting.name)
        } else {
            format!("the value of {} cannot stand in a file", setting.name)
        };
        return Some(format!(
            "the environment variable {name} is no setting and has no effect; {instead}"
        ));
    }
    let (distance, near) = nearest(&spelled)?;
    // Short names are near to each other by chance: `HOME` is no `HOST`.
    let most = match near.len() {
        ..8 => 1,
        8..14 => 2,
        14.. => 3,
    };
    let is_one = name == near.as_str() || CONFIG_FILE == name;
    (distance <= most && !is_one).then(|| {
        format!("the environment variable {name} is no setting and has no effect; did you mean {near}?")
    })
}

/// What to say more of a variable that is one of those that containers of Kubernetes get for each Service:
/// `REDIS_PORT=tcp://10.0.0.1:6379`.
pub(super) fn service_link(name: &str, text: &str) -> String {
    let is_link = ["tcp://", "udp://", "sctp://"]
        .iter()
        .any(|scheme| text.starts_with(scheme));
    let Some(service) = name.strip_suffix("_PORT").filter(|_| is_link) else {
        return String::new();
    };
    format!(
        "; Kubernetes gives containers this variable where there is a Service `{}`: say `enableServiceLinks: false` in the pod, \
         or give {name} a value there",
        service.to_ascii_lowercase().replace('_', "-")
    )
}
