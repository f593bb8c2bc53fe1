//! Kinds of inputs: names in camel and snake case, columns of tables, words of other languages, digits and letters in
//! disguise, loose separators, lists, and what has the form of personal data and is none.

use policy_primitives::pii::{Confidence, Findings, PiiType, PiiTypeSet, contains, redact, scan};

/// Type and text of what counts.
fn counted(text: &str) -> Vec<(PiiType, &str)> {
    let mut findings = Findings::new();
    scan(text, &mut findings);
    findings
        .iter()
        .filter(|found| found.confidence >= Confidence::Medium)
        .map(|found| (found.kind, &text[found.start..found.end]))
        .collect()
}

/// In each text exactly the part behind it is found.
fn assert_found(cases: &[(PiiType, &str, &str)]) {
    let wrong: Vec<_> = cases
        .iter()
        .filter(|(kind, text, value)| counted(text) != [(*kind, *value)])
        .map(|(_, text, _)| (text, counted(text)))
        .collect();
    assert!(wrong.is_empty(), "{} of {}: {wrong:#?}", wrong.len(), cases.len());
}

fn assert_nothing(cases: &[&str]) {
    let wrong: Vec<_> = cases
        .iter()
        .filter(|text| contains(text))
        .map(|text| (text, counted(text)))
        .collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

fn redacted(text: &str) -> String {
    let mut out = String::new();
    redact(text, PiiTypeSet::ALL, &mut out);
    out
}

#[test]
fn names_are_read_in_every_case() {
    let names = [
        (
            PiiType::Phone,
            "4155552671",
            [
                "mobile phone",
                "work phone number",
                "customer telephone",
                "fax number",
            ],
        ),
        (
            PiiType::DateOfBirth,
            "1980-03-14",
            ["patient dob", "birth date", "user birthday", "date of birth"],
        ),
        (
            PiiType::Passport,
            "AB1234567",
            [
                "passport",
                "passport number",
                "guest passport no",
                "holder passport",
            ],
        ),
    ];
    let mut wrong = Vec::new();
    for (kind, value, names) in names {
        for name in names {
            let camel: String = name
                .split(' ')
                .enumerate()
                .map(|(place, word)| {
                    let mut letters = word.chars();
                    match letters.next() {
                        Some(first) if place > 0 => first.to_uppercase().chain(letters).collect(),
                        _ => word.to_owned(),
                    }
                })
                .collect();
            for key in [
                camel,
                name.replace(' ', "_"),
                name.replace(' ', "-"),
                name.to_uppercase().replace(' ', "_"),
            ] {
                for text in [
                    format!("{{\"{key}\": \"{value}\"}}"),
                    format!("{key}={value}"),
                    format!("{key}: {value}"),
                ] {
                    if !counted(&text).contains(&(kind, value)) {
                        wrong.push(text);
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn columns_are_what_their_header_says() {
    let columns = [
        ("name", ["Ann Lee", "Bob Day", "Cy Fox"], None),
        (
            "phone",
            ["4155552671", "2125550147", "3035550182"],
            Some(PiiType::Phone),
        ),
        ("ssn", ["536228726", "219087345", "428031947"], Some(PiiType::Ssn)),
        (
            "date_of_birth",
            ["1980-03-14", "1979-01-02", "1991-11-30"],
            Some(PiiType::DateOfBirth),
        ),
        (
            "passportNo",
            ["AB1234567", "XY9876543", "CD4567890"],
            Some(PiiType::Passport),
        ),
        ("plan", ["pro", "free", "pro"], None),
    ];
    for separator in [",", ";", "\t", " | "] {
        let line = |cells: Vec<&str>| match separator {
            " | " => format!("| {} |\n", cells.join(separator)),
            _ => format!("{}\n", cells.join(separator)),
        };
        let mut text = "Here is the table:\n".to_owned();
        text += &line(columns.iter().map(|column| column.0).collect());
        if separator == " | " {
            text += "|---|---|---|---|---|---|\n";
        }
        for row in 0..3 {
            text += &line(columns.iter().map(|column| column.1[row]).collect());
        }
        let found = counted(&text);
        let expected: Vec<_> = (0..3)
            .flat_map(|row| {
                columns
                    .iter()
                    .filter_map(move |column| Some((column.2?, column.1[row])))
            })
            .collect();
        assert_eq!(found, expected, "{text}");
        let once = redacted(&text);
        assert_eq!(redacted(&once), once);
    }
    // Columns of other numbers.
    assert_nothing(&["id,count,size\n4155552671,2125550147,536228726\n2125550147,536228726,4155552671\n"]);
}

#[test]
fn words_of_other_languages_are_heard() {
    assert_found(&[
        (PiiType::Phone, "Meine Handynummer ist 1701234567.", "1701234567"),
        (PiiType::Phone, "Telefonnummer: 1701234567", "1701234567"),
        (PiiType::Phone, "mon téléphone : 612345678", "612345678"),
        (PiiType::Phone, "mi teléfono es 612345678", "612345678"),
        (PiiType::Phone, "il mio cellulare: 3471234567", "3471234567"),
        (PiiType::Phone, "meu telefone é 912345678", "912345678"),
        (PiiType::Phone, "mijn telefoonnummer is 612345678", "612345678"),
        (
            PiiType::Phone,
            "Mój numer telefonu to 601 809 679.",
            "601 809 679",
        ),
        (PiiType::Phone, "můj telefon je 601809679", "601809679"),
        (PiiType::Phone, "мой телефон 9161234567", "9161234567"),
        (PiiType::Phone, "мій телефон 501234567", "501234567"),
        (PiiType::Phone, "το τηλέφωνό μου: 6912345678", "6912345678"),
        (PiiType::Phone, "telefonum 5321234567", "5321234567"),
        (PiiType::Phone, "رقم هاتفي 501234567", "501234567"),
        (PiiType::Phone, "הטלפון: 501234567", "501234567"),
        (PiiType::Phone, "मेरा फोन 9876543210", "9876543210"),
        (PiiType::Phone, "我的电话是13812345678。", "13812345678"),
        (PiiType::Phone, "電話番号は9012345678です", "9012345678"),
        (PiiType::Phone, "전화번호는 1012345678", "1012345678"),
        (PiiType::Phone, "mitt telefonnummer är 701234567", "701234567"),
        (PiiType::Phone, "min telefon: 20123456", "20123456"),
        (PiiType::Phone, "puhelinnumeroni: puhelin 401234567", "401234567"),
        (PiiType::Phone, "a telefonszámom 301234567", "301234567"),
        (
            PiiType::DateOfBirth,
            "Ich bin am 14.03.1980 geboren.",
            "14.03.1980",
        ),
        (
            PiiType::DateOfBirth,
            "Geburtsdatum: 14. März 1980",
            "14. März 1980",
        ),
        (PiiType::DateOfBirth, "naissance: 14 mars 1980", "14 mars 1980"),
        (
            PiiType::DateOfBirth,
            "fecha de nacimiento: 14 de marzo de 1980",
            "14 de marzo de 1980",
        ),
        (PiiType::DateOfBirth, "data di nascita 14/03/1980", "14/03/1980"),
        (
            PiiType::DateOfBirth,
            "data urodzenia: 14 marca 1980",
            "14 marca 1980",
        ),
        (
            PiiType::DateOfBirth,
            "дата рождения: 14 марта 1980",
            "14 марта 1980",
        ),
        (PiiType::DateOfBirth, "出生日期：1980年03月14日", "1980年03月14日"),
        (
            PiiType::DateOfBirth,
            "생년월일 1980년 3월 14일",
            "1980년 3월 14일",
        ),
        (PiiType::Passport, "Reisepass C01X00T47", "C01X00T47"),
        (PiiType::Passport, "паспорт 4509123456", "4509123456"),
        (PiiType::CaSin, "mon NAS est le 130 692 544", "130 692 544"),
        (PiiType::BrCpf, "CPF: 52998224725", "52998224725"),
        (
            PiiType::Email,
            "write to иван.петров@example.org",
            "иван.петров@example.org",
        ),
        (PiiType::Email, "thảo.võ@example.com", "thảo.võ@example.com"),
        (PiiType::Email, "почта: иван@почта.рф", "иван@почта.рф"),
        (PiiType::Email, "bob@example.comПривет", "bob@example.com"),
        (
            PiiType::Address,
            "I live at Wendeplatz 8, come over.",
            "Wendeplatz 8",
        ),
        (
            PiiType::Address,
            "J'habite au 63, chemin Marion.",
            "63, chemin Marion",
        ),
    ]);
}

#[test]
fn digits_and_letters_in_disguise_are_seen() {
    let zeros = [0x0660, 0x06F0, 0x0966, 0x09E6, 0x0E50, 0xFF10, 0x1D7CE, 0x1D7F6];
    let spelled = |text: &str, zero: u32| -> String {
        text.chars()
            .map(|c| {
                c.to_digit(10)
                    .and_then(|digit| char::from_u32(zero + digit))
                    .unwrap_or(c)
            })
            .collect()
    };
    for zero in zeros {
        for (kind, before, value) in [
            (PiiType::CreditCard, "card ", "4111 1111 1111 1111"),
            (PiiType::Ssn, "my ssn is ", "536-22-8726"),
            (PiiType::Phone, "call me: ", "415-555-2671"),
            (PiiType::IpAddress, "from ", "203.0.113.7"),
        ] {
            let value = spelled(value, zero);
            let text = format!("日本 {before}{value}, 語 😀");
            assert_eq!(counted(&text), [(kind, value.as_str())], "{text}");
            let placeholder = kind.placeholder();
            assert_eq!(redacted(&text), format!("日本 {before}{placeholder}, 語 😀"));
        }
    }
    assert_found(&[
        (
            PiiType::Email,
            "ａｎｎ@ｅｘａｍｐｌｅ.com",
            "ａｎｎ@ｅｘａｍｐｌｅ.com",
        ),
        (PiiType::Email, "mail ann＠example.com now", "ann＠example.com"),
        (
            PiiType::Email,
            "a\u{200b}nn@exa\u{200b}mple.com",
            "a\u{200b}nn@exa\u{200b}mple.com",
        ),
        (
            PiiType::Ssn,
            "536\u{200b}-22-\u{2060}8726",
            "536\u{200b}-22-\u{2060}8726",
        ),
        (PiiType::ApiKey, "АKIAIOSFODNN7EXAMPLE", "АKIAIOSFODNN7EXAMPLE"),
        (
            PiiType::Email,
            "?mail=ann.lee%40example.org",
            "ann.lee%40example.org",
        ),
    ]);
    assert_nothing(&[
        "這是一個，很長的句子。１２３",
        "هذا ١٢٣ فقط",
        "👨\u{200d}👩\u{200d}👧 2024",
        "Привет, мир, 2024 год",
    ]);
    // Far beyond a window, and across the end of one.
    for filler in (0..1200).step_by(97) {
        let text = format!("{}１{} 5３6-22-87２6", "é".repeat(filler), "x ".repeat(filler));
        assert!(
            counted(&text).iter().any(|(kind, _)| *kind == PiiType::Ssn),
            "{filler}"
        );
    }
}

#[test]
fn numbers_are_taken_whole() {
    assert_found(&[
        (
            PiiType::Phone,
            "My phone number is 07577 89328 792.",
            "07577 89328 792",
        ),
        (
            PiiType::Phone,
            "My phone number is (351) 918 100 339.",
            "(351) 918 100 339",
        ),
        (PiiType::Phone, "https://wa.me/14155552671", "14155552671"),
        (PiiType::MacAddress, "MAC: 01-23-45-67-89-AB", "01-23-45-67-89-AB"),
        (PiiType::MacAddress, "hw addr 0012.3456.789a", "0012.3456.789a"),
        (PiiType::MacAddress, "hw addr aabb.cc12.eeff", "aabb.cc12.eeff"),
        (PiiType::Ssn, "SSN: 983-18-1784", "983-18-1784"),
        (PiiType::Ssn, "SSN: 536 - 22 - 8726", "536 - 22 - 8726"),
        (
            PiiType::CreditCard,
            "card 4111.1111.1111.1111",
            "4111.1111.1111.1111",
        ),
        (
            PiiType::CreditCard,
            "4111 - 1111 - 1111 - 1111",
            "4111 - 1111 - 1111 - 1111",
        ),
        (
            PiiType::Address,
            "The package went to 3205 Park Drive yesterday.",
            "3205 Park Drive",
        ),
        (PiiType::IpAddress, "Ann logged in from 2.23.30.42", "2.23.30.42"),
    ]);
    assert_eq!(
        counted("4111 1111 1111 1111, 020 7946 0958"),
        [
            (PiiType::CreditCard, "4111 1111 1111 1111"),
            (PiiType::Phone, "020 7946 0958")
        ]
    );
    assert_eq!(
        redacted("Passports: AB1234567 and XY9876543"),
        "Passports: [PASSPORT] and [PASSPORT]"
    );
}

#[test]
fn what_only_looks_personal_is_nothing() {
    assert_nothing(&[
        "LeCun, Nature 521, 436–444 (2015).",
        "Cell 173, 1031–1040 (2018)",
        "amend incorrect calls for memory-leaks from 20170617 changes",
        "overflow the call stack (CVE-2026-9358)",
        "RFC-2119-4567 and ISO-8601-2019",
        "Faktura FV 0932/01/2026",
        "Metformin (NDC-0591-3740-01) twice daily",
        "[assembly: AssemblyVersion(\"57.83.32.6\")]",
        "pam (0.99.7.1-5) unstable",
        "the loopback range 127.0.0.0/8",
        "link-local 169.254.0.0/16",
        "multicast 224.0.0.251, 239.255.255.250",
        "4708 6570 5337 2998 4943 4856 7525 4975 3639 3042 4788 3702",
        "Part no. 862-24-0737",
        "serial 536-22-8726",
        "Copyright 2016 Iain Lane",
        "Copyright (c) 2015, 2016 Iain Lane",
        "datetime!(+999999-12-31 23:59:59)",
        "1111.2222.3333",
        "in 12 seconds, place Anna",
    ]);
}

#[test]
fn what_only_looks_secret_is_nothing() {
    assert_nothing(&[
        // Spans of years, whatever stands before them.
        "contact: Ann Lee 2006-2009 Bob Ray",
        // An address of a service whose password is a word, under a name.
        "Username & Password: `redis://user:password@127.0.0.1:6379`",
        "With username and password:\npostgres://user:password@%2Fvar%2Frun/db1",
        // Files and hosts.
        "tests = [\"tests/ui/method-to-other-pass.rs\", \"tests/ui/unelided-lifetime-in-sig-ice-156848.rs\"]",
        "secret = '4f2a9c.invoices.example.com'",
        // Words with a blank that a URL escapes.
        "username=user&password=secure%20password",
        // A type of a program.
        "let raw_private_key: Curve25519SeedBin<'_> = private_key",
        // What everybody sees who opens the page.
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "<input type=\"hidden\" name=\"authenticity_token\" value=\"7SWa-Fo1_hsC6oovfBsJFLGPUl2EhkSWPbJhWA\">",
        // Functions and numbers behind the letters that keys begin with.
        "fn test_aVeryLongNameInCamelCaseOfAFunctionXy() {}",
        "channel xoxa-08532509747",
    ]);
    assert_found(&[
        (PiiType::ApiKey, "password=Tq7v%20Lz2Wm9xR", "Tq7v%20Lz2Wm9xR"),
        (
            PiiType::ApiKey,
            "<key>a8F3kQ9zX2mL7pR4tV6w</key>",
            "a8F3kQ9zX2mL7pR4tV6w",
        ),
        (PiiType::Phone, "call 2090-1950", "2090-1950"),
    ]);
}
