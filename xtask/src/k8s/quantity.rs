//! Quantities of Kubernetes: `1500Mi`, `2G`, `512`.

/// Bytes of a quantity; `None` where it is none, or no whole number of bytes.
pub(crate) fn bytes(text: &str) -> Option<u64> {
    let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let number: u64 = number.parse().ok()?;
    let factor: u64 = match unit {
        "" => 1,
        "k" => 1_000,
        "M" => 1_000_000,
        "G" => 1_000_000_000,
        "T" => 1_000_000_000_000,
        "Ki" => 1 << 10,
        "Mi" => 1 << 20,
        "Gi" => 1 << 30,
        "Ti" => 1 << 40,
        _ => return None,
    };
    number.checked_mul(factor)
}

/// Thousandths of a processor: `250m`, `2`, `0.5`; `None` where it is none.
pub(crate) fn millicores(text: &str) -> Option<u64> {
    if let Some(number) = text.strip_suffix('m') {
        return number.parse().ok();
    }
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let whole: u64 = whole.parse().ok()?;
    if part.len() > 3 || !part.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    whole
        .checked_mul(1000)?
        .checked_add(format!("{part:0<3}").parse().ok()?)
}

/// Bytes of a size as nginx writes them: `4m`, where `k`, `m` and `g` are powers of 1024.
pub(crate) fn nginx_bytes(text: &str) -> Option<u64> {
    let at = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let number: u64 = number.parse().ok()?;
    let factor: u64 = match unit {
        "" => 1,
        "k" | "K" => 1 << 10,
        "m" | "M" => 1 << 20,
        "g" | "G" => 1 << 30,
        _ => return None,
    };
    number.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::{bytes, millicores, nginx_bytes};

    #[test]
    fn units_are_those_of_kubernetes_and_nginx() {
        assert_eq!(bytes("1500Mi"), Some(1500 << 20));
        assert_eq!(bytes("1G"), Some(1_000_000_000));
        assert_eq!(bytes("7"), Some(7));
        for text in ["", "Mi", "1.5Gi", "1gb", "-1", "99999999999Ti"] {
            assert_eq!(bytes(text), None, "{text}");
        }
        assert_eq!(nginx_bytes("4m"), Some(4 << 20));
        assert_eq!(nginx_bytes("4Mi"), None);
        for (text, thousandths) in [("250m", 250), ("2", 2000), ("0.5", 500), ("1.25", 1250)] {
            assert_eq!(millicores(text), Some(thousandths), "{text}");
        }
        for text in ["", "m", "-1", "1.2345", "1.x", "1 "] {
            assert_eq!(millicores(text), None, "{text}");
        }
    }
}
