//! Words with letters that are not ASCII, and of scripts that put no spaces between words.

use super::topics::Topic;

/// Whether a word is of a script that puts no spaces between words: kana, CJK and Hangul start with these bytes.
pub(super) fn unspaced(word: &[u8]) -> bool {
    word.iter().any(|byte| (0xE3..=0xED).contains(byte))
}

/// Words of scripts without spaces, found inside of a run of letters.
pub(super) const UNSPACED: &[(&str, Topic)] = &[
    ("电话", Topic::Phone),
    ("電話", Topic::Phone),
    ("手机", Topic::Phone),
    ("手機", Topic::Phone),
    ("携帯", Topic::Phone),
    ("传真", Topic::Phone),
    ("전화", Topic::Phone),
    ("휴대폰", Topic::Phone),
    ("핸드폰", Topic::Phone),
    ("연락처", Topic::Phone),
    ("出生", Topic::Birth),
    ("生日", Topic::Birth),
    ("生年月日", Topic::Birth),
    ("誕生日", Topic::Birth),
    ("생년월일", Topic::Birth),
    ("생일", Topic::Birth),
    ("驾驶证", Topic::DrivingLicence),
    ("驾照", Topic::DrivingLicence),
    ("駕照", Topic::DrivingLicence),
    ("運転免許", Topic::DrivingLicence),
    ("운전면허", Topic::DrivingLicence),
    ("护照", Topic::Passport),
    ("護照", Topic::Passport),
    ("旅券", Topic::Passport),
    ("パスポート", Topic::Passport),
    ("여권", Topic::Passport),
    ("银行卡", Topic::Card),
    ("信用卡", Topic::Card),
    ("カード", Topic::Card),
    ("카드", Topic::Card),
    ("地址", Topic::Residence),
    ("住所", Topic::Residence),
    ("주소", Topic::Residence),
    ("订单", Topic::Identifier),
    ("訂單", Topic::Identifier),
    ("注文", Topic::Identifier),
    ("주문", Topic::Identifier),
    ("版本", Topic::Version),
    ("バージョン", Topic::Version),
    ("버전", Topic::Version),
    ("服务器", Topic::Network),
    ("サーバー", Topic::Network),
    ("서버", Topic::Network),
];

/// The dictionary of words with letters that are not ASCII, as they begin.
pub(super) fn foreign(word: &[u8]) -> Option<Topic> {
    static WORDS: &[(&str, Topic)] = &[
        ("téléphone", Topic::Phone),
        ("tél", Topic::Phone),
        ("teléf", Topic::Phone),
        ("móvil", Topic::Phone),
        ("telemóvel", Topic::Phone),
        ("komórk", Topic::Phone),
        ("mobilní", Topic::Phone),
        ("тел", Topic::Phone),
        ("моб", Topic::Phone),
        ("Тел", Topic::Phone),
        ("мобил", Topic::Phone),
        ("Мобил", Topic::Phone),
        ("мобіл", Topic::Phone),
        ("τηλ", Topic::Phone),
        ("τηλέφων", Topic::Phone),
        ("Τηλέφων", Topic::Phone),
        ("κινητό", Topic::Phone),
        ("טלפון", Topic::Phone),
        ("נייד", Topic::Phone),
        ("هاتف", Topic::Phone),
        ("الهاتف", Topic::Phone),
        ("جوال", Topic::Phone),
        ("الجوال", Topic::Phone),
        ("फोन", Topic::Phone),
        ("फ़ोन", Topic::Phone),
        ("मोबाइल", Topic::Phone),
        ("né", Topic::Birth),
        ("födelsedatum", Topic::Birth),
        ("född", Topic::Birth),
        ("fødselsdato", Topic::Birth),
        ("født", Topic::Birth),
        ("syntymäaika", Topic::Birth),
        ("doğum", Topic::Birth),
        ("született", Topic::Birth),
        ("születési", Topic::Birth),
        ("narozen", Topic::Birth),
        ("naroz", Topic::Birth),
        ("родил", Topic::Birth),
        ("рожд", Topic::Birth),
        ("народж", Topic::Birth),
        ("народив", Topic::Birth),
        ("народил", Topic::Birth),
        ("nașter", Topic::Birth),
        ("naşter", Topic::Birth),
        ("născut", Topic::Birth),
        ("जन्मतिथि", Topic::Birth),
        ("γέννησης", Topic::Birth),
        ("γεννήθηκ", Topic::Birth),
        ("לידה", Topic::Birth),
        ("נולד", Topic::Birth),
        ("الميلاد", Topic::Birth),
        ("ميلاد", Topic::Birth),
        ("जन्म", Topic::Birth),
        ("führerschein", Topic::DrivingLicence),
        ("körkort", Topic::DrivingLicence),
        ("kørekort", Topic::DrivingLicence),
        ("førerkort", Topic::DrivingLicence),
        ("jogosítvány", Topic::DrivingLicence),
        ("řidičsk", Topic::Driver),
        ("průkaz", Topic::License),
        ("condução", Topic::Driver),
        ("conducción", Topic::Driver),
        ("водительск", Topic::Driver),
        ("Водительск", Topic::Driver),
        ("удостоверен", Topic::License),
        ("водія", Topic::Driver),
        ("посвідчен", Topic::License),
        ("Посвідчен", Topic::License),
        ("οδήγησης", Topic::Driver),
        ("δίπλωμα", Topic::License),
        ("נהיגה", Topic::Driver),
        ("רישיון", Topic::License),
        ("القيادة", Topic::Driver),
        ("رخصة", Topic::License),
        ("ड्राइविंग", Topic::Driver),
        ("लाइसेंस", Topic::License),
        ("cestovní", Topic::Passport),
        ("pașaport", Topic::Passport),
        ("paşaport", Topic::Passport),
        ("паспорт", Topic::Passport),
        ("Паспорт", Topic::Passport),
        ("διαβατήρι", Topic::Passport),
        ("דרכון", Topic::Passport),
        ("جواز", Topic::Passport),
        ("पासपोर्ट", Topic::Passport),
        ("útlevél", Topic::Passport),
        ("cartão", Topic::Card),
        ("kártya", Topic::Card),
        ("карт", Topic::Card),
        ("κάρτα", Topic::Card),
        ("כרטיס", Topic::Card),
        ("بطاقة", Topic::Card),
        ("कार्ड", Topic::Card),
        ("dirección", Topic::Residence),
        ("endereço", Topic::Residence),
        ("адрес", Topic::Residence),
        ("заказ", Topic::Goods),
        ("счёт", Topic::Identifier),
        ("версия", Topic::Version),
    ];
    /// Letters behind the start of a word at most: endings, not other words.
    const ENDING: usize = 10;
    if word.starts_with(b"telef") {
        return Some(Topic::Phone);
    }
    // Hebrew and Arabic write articles and prepositions, of two bytes a letter, in front of the word.
    let prefixes = if (0xD6..=0xDB).contains(&word[0]) { 3 } else { 0 };
    let begins = |start: &[u8]| {
        (0..=prefixes).find_map(|letters| word.get(letters * 2..).filter(|word| word.starts_with(start)))
    };
    WORDS
        .iter()
        .find(|(start, _)| {
            let short = start.len() < 4;
            let Some(word) = begins(start.as_bytes()) else {
                return false;
            };
            word.len()
                <= start.len()
                    + if short {
                        usize::from(word.ends_with(b"e"))
                    } else {
                        ENDING
                    }
        })
        .map(|(_, topic)| *topic)
}
