//! The provider never panics, and no key does the work of another.

use super::*;
use crate::auth::fixtures::Pair;
use jsonwebtoken::crypto::{sign, verify};

const ALL: [Algorithm; 12] = [
    Algorithm::HS256,
    Algorithm::HS384,
    Algorithm::HS512,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::EdDSA,
];

fn keys() -> Vec<DecodingKey> {
    let public = [Pair::rsa(), Pair::ec(), Pair::ed()].map(|pair| pair.public());
    vec![
        DecodingKey::from_secret(&public[0]),
        DecodingKey::from_rsa_raw_components(&public[0], &[1, 0, 1]),
        DecodingKey::from_rsa_raw_components(&[], &[]),
        DecodingKey::from_rsa_der(&public[0]),
        DecodingKey::from_ec_der(&public[1]),
        DecodingKey::from_ec_der(&[]),
        DecodingKey::from_ed_der(&public[2]),
        DecodingKey::from_ed_der(&[4]),
    ]
}

#[test]
fn installing_is_safe_to_repeat_from_many_threads() {
    let threads: Vec<_> = (0..8).map(|_| std::thread::spawn(install)).collect();
    for thread in threads {
        assert_eq!(thread.join().unwrap(), Ok(()));
    }
}

#[test]
fn no_combination_of_algorithm_and_key_panics_or_passes() {
    install().unwrap();
    for algorithm in ALL {
        for key in keys() {
            for signature in ["", "AA", &"A".repeat(86), &"A".repeat(342)] {
                let passed = verify(signature, b"message", &key, algorithm).is_ok_and(|good| good);
                assert!(!passed, "{algorithm:?} {key:?}");
            }
        }
    }
}

#[test]
fn only_hs256_signs() {
    install().unwrap();
    for algorithm in ALL {
        for key in [
            EncodingKey::from_secret(b"secret"),
            EncodingKey::from_rsa_der(&[]),
            EncodingKey::from_ec_der(&[]),
            EncodingKey::from_ed_der(&[]),
        ] {
            let expected = algorithm == Algorithm::HS256 && key.family() == AlgorithmFamily::Hmac;
            assert_eq!(
                sign(b"message", &key, algorithm).is_ok(),
                expected,
                "{algorithm:?}"
            );
        }
    }
}

#[test]
fn each_algorithm_passes_with_its_own_key_and_no_other() {
    install().unwrap();
    let pairs = [Pair::rsa(), Pair::ec(), Pair::ed()];
    let key = |pair: &Pair| match pair {
        Pair::Rsa(_) => DecodingKey::from_rsa_raw_components(&pair.public(), &[1, 0, 1]),
        Pair::Ec(_) => DecodingKey::from_ec_der(&pair.public()),
        Pair::Ed(_) => DecodingKey::from_ed_der(&pair.public()),
    };
    for signer in &pairs {
        let algorithm: Algorithm = signer.alg().parse().unwrap();
        let signature = crate::auth::fixtures::b64(signer.sign(b"message"));
        for other in &pairs {
            let passed = verify(&signature, b"message", &key(other), algorithm).is_ok_and(|good| good);
            assert_eq!(
                passed,
                other.alg() == signer.alg(),
                "{algorithm:?} with {}",
                other.alg()
            );
        }
        assert_eq!(verify(&signature, b"massage", &key(signer), algorithm), Ok(false));
    }
}

#[test]
fn helpers_for_key_sets_answer_without_panic() {
    install().unwrap();
    let utils = &PROVIDER.key_utils;
    assert!((utils.rsa_pub_components_from_private_key)(&[]).is_err());
    assert!((utils.rsa_pub_components_from_public_key)(&[]).is_err());
    assert!((utils.ec_pub_components_from_private_key)(&[], Algorithm::ES256).is_err());
    assert!(
        (utils.ed_pub_components_from_private_key)(&[], &jsonwebtoken::jwk::EllipticCurve::Ed25519).is_err()
    );
    let digest = (utils.compute_digest)(b"abc", ThumbprintHash::SHA256).unwrap();
    assert_eq!(digest[..4], [0xba, 0x78, 0x16, 0xbf]);
}
