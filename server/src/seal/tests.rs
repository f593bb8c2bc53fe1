//! What is sealed opens with its key and its request id, and with nothing else.

use super::*;
use proptest::prelude::*;

fn key(id: &str, byte: u8) -> (String, SecretBox<[u8; 32]>) {
    (id.to_owned(), SecretBox::new(Box::new([byte; 32])))
}

#[test]
fn a_sealed_text_looks_as_documented_and_hides_the_text() {
    let sealer = Sealer::new(&[key("k1", 7)]).unwrap();
    let text = r#"{"llm":{"prompt":"attack at dawn"}}"#;
    let sealed = sealer.seal(text, "req-1").unwrap();
    let bytes = STANDARD
        .decode(sealed.strip_prefix("enc:v1:k1:").unwrap())
        .unwrap();
    assert_eq!(bytes.len(), 12 + text.len() + 16);
    assert!(!bytes.windows(4).any(|window| window == b"dawn"));
    // Each time another nonce.
    assert_ne!(sealer.seal(text, "req-1").unwrap()[..26], sealed[..26]);
    assert!(!format!("{sealer:?}").contains("7, 7"));
}

#[test]
fn the_bytes_are_those_of_aes_256_gcm() {
    // Test case 14 of the GCM specification: key and nonce of zeros, sixteen zeros of text.
    let sealer = Sealer::new(&[key("z", 0)]).unwrap();
    let cipher = [
        0xce, 0xa7, 0x40, 0x3d, 0x4d, 0x60, 0x6b, 0x6e, 0x07, 0x4e, 0xc5, 0xd3, 0xba, 0xf3, 0x9d, 0x18, 0xd0,
        0xd1, 0xc8, 0xa7, 0x99, 0x99, 0x6b, 0xf0, 0x26, 0x5b, 0x98, 0xb5, 0xd4, 0x8a, 0xb9, 0x19,
    ];
    let text = format!("enc:v1:z:{}", STANDARD.encode([&[0; 12][..], &cipher].concat()));
    assert_eq!(sealer.open(&text, "").unwrap(), "\0".repeat(16));
}

#[test]
fn a_key_in_use_is_neither_lost_nor_exchanged_by_a_replacement() {
    let sealer = Sealer::new(&[key("two", 2), key("one", 1)]).unwrap();
    let sealed = sealer.seal("text", "a").unwrap();
    for (keys, refused) in [
        (vec![key("three", 3)], SealError::KeyInUse("two".to_owned())),
        (
            vec![key("three", 3), key("one", 1)],
            SealError::KeyInUse("two".to_owned()),
        ),
        (vec![key("two", 3)], SealError::OtherKey("two".to_owned())),
        (
            vec![key("two", 2), key("one", 3)],
            SealError::OtherKey("one".to_owned()),
        ),
    ] {
        assert_eq!(sealer.replace(&keys), Err(refused));
        assert_eq!(sealer.open(&sealed, "a").as_deref(), Ok("text"));
    }
    // In two steps, any key may go.
    sealer.replace(&[key("three", 3), key("two", 2)]).unwrap();
    assert_eq!(sealer.open(&sealed, "a").as_deref(), Ok("text"));
    sealer.replace(&[key("three", 3)]).unwrap();
    assert!(sealer.open(&sealed, "a").is_err());
}

#[test]
fn keys_are_replaced_while_texts_are_sealed() {
    let sealer = Sealer::new(&[key("old", 1)]).unwrap();
    let before = sealer.seal("text", "a").unwrap();
    sealer.replace(&[key("new", 2), key("old", 1)]).unwrap();
    let after = sealer.seal("text", "a").unwrap();
    assert!(before.starts_with("enc:v1:old:") && after.starts_with("enc:v1:new:"));
    assert_eq!(sealer.open(&before, "a").as_deref(), Ok("text"));
    assert_eq!(sealer.open(&after, "a").as_deref(), Ok("text"));
    // What is no good replaces nothing.
    assert_eq!(sealer.replace(&[]), Err(SealError::NoKeys));
    assert_eq!(
        sealer.replace(&[key("x", 3), key("x", 4)]),
        Err(SealError::DuplicateKey("x".to_owned()))
    );
    sealer.replace(&[key("new", 2)]).unwrap();
    assert_eq!(
        sealer.open(&before, "a"),
        Err(SealError::UnknownKey("old".to_owned()))
    );
    assert_eq!(sealer.open(&after, "a").as_deref(), Ok("text"));
}

#[test]
fn keys_are_rotated() {
    let old = Sealer::new(&[key("old", 1)]).unwrap();
    let both = Sealer::new(&[key("new", 2), key("old", 1)]).unwrap();
    let new = Sealer::new(&[key("new", 2)]).unwrap();
    let before = old.seal("text", "r").unwrap();
    let after = both.seal("text", "r").unwrap();
    assert!(after.starts_with("enc:v1:new:"));
    assert_eq!(both.open(&before, "r").unwrap(), "text");
    assert_eq!(new.open(&after, "r").unwrap(), "text");
    assert_eq!(
        new.open(&before, "r"),
        Err(SealError::UnknownKey("old".to_owned()))
    );
    // Another key under the same name.
    let other = Sealer::new(&[key("old", 9)]).unwrap();
    assert_eq!(other.open(&before, "r"), Err(SealError::Damaged));
    let renamed = before.replace(":old:", ":new:");
    assert_eq!(both.open(&renamed, "r"), Err(SealError::Damaged));
}

#[test]
fn what_is_not_sealed_here_is_an_error() {
    let sealer = Sealer::new(&[key("k", 1)]).unwrap();
    let sealed = sealer.seal("text", "r").unwrap();
    assert_eq!(sealer.open(&sealed, "s"), Err(SealError::Damaged));
    for text in [
        "",
        "text",
        "enc:v1:",
        "enc:v1:k",
        "enc:v1:k:",
        "enc:v1:k:AAAA",
        "enc:v1:k:****",
        "enc:v2:k:AAAA",
    ] {
        assert_eq!(sealer.open(text, "r"), Err(SealError::Malformed), "{text}");
    }
    for at in 10..sealed.len() {
        assert!(sealer.open(&sealed[..at], "r").is_err());
    }
    let bytes = STANDARD.decode(&sealed["enc:v1:k:".len()..]).unwrap();
    for bit in 0..bytes.len() * 8 {
        let mut damaged = bytes.clone();
        damaged[bit / 8] ^= 1 << (bit % 8);
        let text = format!("enc:v1:k:{}", STANDARD.encode(damaged));
        assert_eq!(sealer.open(&text, "r"), Err(SealError::Damaged));
    }
    assert_eq!(Sealer::new(&[]).unwrap_err(), SealError::NoKeys);
    let twice = Sealer::new(&[key("k", 1), key("k", 2)]);
    assert_eq!(twice.unwrap_err(), SealError::DuplicateKey("k".to_owned()));
}

proptest! {
    #[test]
    fn opening_undoes_sealing(text in "\\PC{0,300}", aad in "\\PC{0,40}", other in "\\PC{0,40}") {
        let sealer = Sealer::new(&[key("k", 3)]).unwrap();
        let sealed = sealer.seal(&text, &aad).unwrap();
        prop_assert_eq!(sealer.open(&sealed, &aad), Ok(text));
        if other != aad {
            prop_assert_eq!(sealer.open(&sealed, &other), Err(SealError::Damaged));
        }
    }
}
