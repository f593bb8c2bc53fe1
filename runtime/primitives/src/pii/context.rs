//! The words before a candidate: what they say it is, and how near they stand.
//!
//! Detectors whose form alone is ambiguous (a date, ten digits) ask for [`Nearby`] and compare distances: `order` next
//! to the number outweighs `phone` further away.
//!
//! The walk goes back at most [`WINDOW_WORDS`] words and [`WINDOW_BYTES`] bytes, and never over a barrier: the end of
//! an earlier match, or a redaction placeholder. The barrier is what keeps redaction idempotent, since a word that is
//! gone after redaction was not heard before it either. A barrier passes on its own type, so that the second number
//! in `phone 1234567, 1234568` is still a phone.

use super::bytes::{ALPHA, CLASS, at};
use super::dictionary::Dictionary;
use super::secrets;
use super::table::Table;
use super::types::PiiType;

/// Words looked at.
const WINDOW_WORDS: usize = 6;
/// Bytes looked at, whatever the words.
const WINDOW_BYTES: usize = 72;
/// Longest word in the table; longer ones are not looked up.
const LONGEST_WORD: usize = 28;

/// What a word can say about the number after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum Topic {
    /// A telephone.
    Phone,
    /// A payment card.
    Card,
    /// A US social security or taxpayer number.
    Ssn,
    /// A birth.
    Birth,
    /// A software or document version, a section number.
    Version,
    /// A network address or host.
    Network,
    /// Some other identifier, an amount: speaks against phones.
    Identifier,
    /// The UK health service.
    Nhs,
    /// The Canadian social insurance number.
    Sin,
    /// The Indian Aadhaar number.
    Aadhaar,
    /// A licence.
    License,
    /// Driving.
    Driver,
    /// A passport.
    Passport,
    /// A cryptocurrency wallet.
    Wallet,
    /// A place of living or delivery.
    Residence,
    /// A remote shell: `user@host` is a login, not an e-mail address.
    Shell,
    /// The UK national insurance number.
    Nino,
    /// The Brazilian taxpayer's number.
    Cpf,
    /// The number of a thing that is sold or made: no one's own, however it is written.
    Goods,
    /// A hardware address.
    Hardware,
    /// Whoever uses a network address: more than [`Topic::Network`], which is said with it.
    Visitor,
    /// A driving licence in one word: [`Topic::License`] and [`Topic::Driver`] are said with it.
    DrivingLicence,
    /// The match right before was a card: a word for cards need not be repeated.
    AfterCard,
}

/// How many topics there are.
const TOPICS: usize = 23;
/// Distance of a topic that was not mentioned.
const FAR: u8 = u8::MAX;

/// Distances, in words, of the nearest mention of each topic.
#[derive(Debug, Clone, Copy)]
pub(super) struct Nearby {
    distance: [u8; TOPICS],
    /// Bytes read, for the step count.
    pub(super) bytes_read: usize,
}

impl Nearby {
    /// Whether a word of the window mentions `topic`.
    pub(super) fn has(&self, topic: Topic) -> bool {
        self.distance[topic as usize] != FAR
    }

    /// Whether `topic` is mentioned, and no further away than `other`.
    pub(super) fn favours(&self, topic: Topic, other: Topic) -> bool {
        self.has(topic) && self.distance[topic as usize] <= self.distance[other as usize]
    }

    fn note(&mut self, topic: Topic, distance: usize) {
        let slot = &mut self.distance[topic as usize];
        *slot = (*slot).min(distance.min(usize::from(FAR) - 1) as u8);
        if topic == Topic::Visitor {
            self.note(Topic::Network, distance);
        }
        if topic == Topic::DrivingLicence {
            self.note(Topic::License, distance);
            self.note(Topic::Driver, distance);
        }
    }
}

/// The end of the last match, and its type: nothing before it is context.
#[derive(Debug, Clone, Copy)]
pub(super) struct Barrier {
    /// One past the last byte of the match; 0 at the start of the text.
    pub(super) end: usize,
    /// Its type.
    pub(super) kind: Option<PiiType>,
}

/// Reads the words before `position`, and the name of the column where it stands in a table.
pub(super) fn before(text: &[u8], position: usize, barrier: Barrier, table: &mut Table) -> Nearby {
    let (header, read) = table.header_of(text, position);
    let mut named = Nearby {
        distance: [FAR; TOPICS],
        bytes_read: read,
    };
    for word in header.unwrap_or(&[]).split(|b| !is_letter(*b)) {
        look_up(word, 0, &mut named);
    }
    if named.distance != [FAR; TOPICS] {
        // What stands in other columns, and in the header above them, is of others.
        return named;
    }
    let mut nearby = words_before(text, position, barrier);
    nearby.bytes_read += read;
    nearby
}

/// Reads the words before `position`.
fn words_before(text: &[u8], position: usize, barrier: Barrier) -> Nearby {
    let mut nearby = Nearby {
        distance: [FAR; TOPICS],
        bytes_read: 0,
    };
    let floor = barrier.end.max(position.saturating_sub(WINDOW_BYTES));
    let mut end = position;
    let mut words = 0;
    while words < WINDOW_WORDS {
        // Skip what separates words.
        while end > floor && !is_letter(text[end - 1]) {
            end -= 1;
            if text[end] == b']'
                && let Some(kind) = placeholder_before(text, end + 1)
            {
                heard_from(kind, words, &mut nearby);
                nearby.bytes_read = position - end;
                return nearby;
            }
        }
        if end == floor {
            if floor == barrier.end
                && let Some(kind) = barrier.kind
            {
                heard_from(kind, words, &mut nearby);
            }
            break;
        }
        let mut start = end;
        // All bytes of the word, and what those behind the first have in common.
        let (mut all, mut common, mut common_behind) = (0, 0xFF, 0xFF);
        while start > floor && is_letter(text[start - 1]) {
            start -= 1;
            common_behind = common;
            common &= text[start];
            all |= text[start];
        }
        let word = &text[start..end];
        // `SET_VRING_CALL` is a call of programs.
        let joined = || at(text, end) == b'_' || start > 0 && text[start - 1] == b'_';
        let of_programs = word.eq_ignore_ascii_case(b"call") && joined();
        if !of_programs {
            // Nearly all words are ASCII, with small letters behind the first: they are made of no others.
            if all < 0x80 && common_behind & 0x20 != 0 {
                look_up_one(word, words, &mut nearby);
            } else {
                look_up(word, words, &mut nearby);
            }
        }
        words += 1;
        end = start;
    }
    nearby.bytes_read = position - end;
    nearby
}

/// Whether putting `label: ` before a text makes nothing of it suspicious that is not so alone: where [`scan`](super::scan)
/// finds nothing in `text`, at any confidence, it finds nothing in `label: text` either.
///
/// Says so of lower-case letters and spaces that name nothing. In such a label nothing is found, since the pass stops at no
/// byte of it, and the colon before a space starts no address. Before the text stand a space and a colon, which end every
/// look behind as the start of the text does, with two exceptions:
///
/// - `context::before` hears the words of the label. It may cut the first one at the end of its window, so no ending of a word may be
///   a topic, except those that only speak against a finding.
/// - `secrets::scan_assignment` looks for a name before the colon.
///
/// `pii/tests.rs` compares both for generated labels and texts.
#[must_use]
pub fn is_silent(label: &str) -> bool {
    label.len() <= WINDOW_BYTES
        && label.bytes().all(|b| b.is_ascii_lowercase() || b == b' ')
        && label.as_bytes().split(|b| *b == b' ').all(|word| {
            let mut heard = Nearby {
                distance: [FAR; TOPICS],
                bytes_read: 0,
            };
            (0..word.len()).for_each(|from| look_up(&word[from..], 0, &mut heard));
            // In every detector these weaken a finding or take it back.
            heard.distance[Topic::Identifier as usize] = FAR;
            heard.distance[Topic::Version as usize] = FAR;
            heard.distance[Topic::Goods as usize] = FAR;
            heard.distance == [FAR; TOPICS] && !secrets::speaks_of_secret(word)
        })
}

/// Letters of any script; bytes of multi-byte characters count as letters.
#[inline(always)]
fn is_letter(byte: u8) -> bool {
    CLASS[usize::from(byte)] & ALPHA != 0 || byte >= 0x80
}

/// The type of the redaction placeholder that ends at `end`.
fn placeholder_before(text: &[u8], end: usize) -> Option<PiiType> {
    const LONGEST: usize = 24;
    let floor = end.saturating_sub(LONGEST);
    let open = text[floor..end].iter().rposition(|b| *b == b'[')?;
    PiiType::from_placeholder(&text[floor + open..end])
}

/// A match directly before speaks for its own kind.
fn heard_from(kind: PiiType, distance: usize, nearby: &mut Nearby) {
    if distance > 2 {
        return;
    }
    match kind {
        PiiType::Phone => nearby.note(Topic::Phone, distance),
        PiiType::CreditCard => nearby.note(Topic::AfterCard, distance),
        // One word between them is the `and` of a list.
        PiiType::Passport if distance <= 1 => nearby.note(Topic::Passport, distance),
        PiiType::DriverLicense if distance <= 1 => {
            nearby.note(Topic::License, distance);
            nearby.note(Topic::Driver, distance);
        }
        PiiType::Ssn if distance <= 1 => nearby.note(Topic::Ssn, distance),
        _ => {}
    }
}

/// Notes the topics of one word, and of the words that it is made of: `mobilePhone`, `Handynummer`.
fn look_up(word: &[u8], distance: usize, nearby: &mut Nearby) {
    // What the word is made of, in one look at its bytes.
    let (mut all, mut humps, mut before) = (0, false, 0);
    for &byte in word {
        all |= byte;
        humps |= byte.is_ascii_uppercase() && u8::is_ascii_lowercase(&before);
        before = byte;
    }
    if all >= 0x80 && unspaced(word) {
        for (part, topic) in UNSPACED {
            if word.windows(part.len()).any(|window| window == part.as_bytes()) {
                nearby.note(*topic, distance);
            }
        }
        return;
    }
    if humps {
        let mut start = 0;
        for end in 1..word.len() {
            if word[end].is_ascii_uppercase() && word[end - 1].is_ascii_lowercase() {
                look_up_one(&word[start..end], distance, nearby);
                start = end;
            }
        }
        look_up_one(&word[start..], distance, nearby);
    }
    look_up_one(word, distance, nearby);
}

/// Whether a word is of a script that puts no spaces between words: kana, CJK and Hangul start with these bytes.
fn unspaced(word: &[u8]) -> bool {
    word.iter().any(|byte| (0xE3..=0xED).contains(byte))
}

#[inline(always)]
fn look_up_one(word: &[u8], distance: usize, nearby: &mut Nearby) {
    // A singular of two letters is the only stem that begins otherwise than its word.
    let plural = word.len() == 3 && word[2] | 0x20 == b's';
    if TOPICS_OF_WORDS.has_alike(word) || plural || !word.is_ascii() {
        hear(word, distance, nearby);
    }
}

/// Notes the topic of one word, with or without an ending that words of numbers have.
fn hear(word: &[u8], distance: usize, nearby: &mut Nearby) {
    const NUMBERS: [&[u8]; 5] = [b"number", b"nummer", b"num", b"nr", b"no"];
    if word.len() < 2 || word.len() > LONGEST_WORD {
        return;
    }
    let mut lower = [0u8; LONGEST_WORD];
    let lower = &mut lower[..word.len()];
    lower.copy_from_slice(word);
    lower.make_ascii_lowercase();
    let lower = &*lower;
    let stems = NUMBERS.iter().filter_map(|number| lower.strip_suffix(*number));
    let topic = topic_of(lower)
        .or_else(|| topic_of(lower.strip_suffix(b"s")?))
        .or_else(|| stems.filter(|stem| stem.len() > 2).find_map(topic_of));
    if let Some(topic) = topic {
        // Programs have calls as well, and who is called stands near.
        if !(matches!(lower, b"call" | b"calls" | b"calling") && distance > 3) {
            nearby.note(topic, distance);
        }
    }
}

/// Words of scripts without spaces, found inside of a run of letters.
const UNSPACED: &[(&str, Topic)] = &[
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

/// What `word` says; it is in small letters where it is ASCII.
fn topic_of(word: &[u8]) -> Option<Topic> {
    if !word.is_ascii() {
        return foreign(word);
    }
    let telephone = || (word.starts_with(b"telef") || word.starts_with(b"telepho")).then_some(Topic::Phone);
    TOPICS_OF_WORDS.find(word).or_else(telephone)
}

/// The dictionary of words of ASCII letters, singular.
static TOPICS_OF_WORDS: Dictionary<Topic, 317> = Dictionary::of(&[
    ("phone", Topic::Phone),
    ("telephone", Topic::Phone),
    ("tel", Topic::Phone),
    ("call", Topic::Phone),
    ("calling", Topic::Phone),
    ("cell", Topic::Phone),
    ("cellphone", Topic::Phone),
    ("cellular", Topic::Phone),
    ("mobile", Topic::Phone),
    ("mob", Topic::Phone),
    ("fax", Topic::Phone),
    ("whatsapp", Topic::Phone),
    ("sms", Topic::Phone),
    ("dial", Topic::Phone),
    ("reach", Topic::Phone),
    ("contact", Topic::Phone),
    ("handy", Topic::Phone),
    ("hotline", Topic::Phone),
    ("voicemail", Topic::Phone),
    ("helpline", Topic::Phone),
    ("landline", Topic::Phone),
    ("pager", Topic::Phone),
    ("desk", Topic::Phone),
    ("ph", Topic::Phone),
    ("mobil", Topic::Phone),
    ("celular", Topic::Phone),
    ("cellulare", Topic::Phone),
    ("gsm", Topic::Phone),
    ("movil", Topic::Phone),
    ("telemovel", Topic::Phone),
    ("komorka", Topic::Phone),
    ("komorkowy", Topic::Phone),
    ("mobiele", Topic::Phone),
    ("mobilni", Topic::Phone),
    ("puhelin", Topic::Phone),
    ("puhelinnumero", Topic::Phone),
    ("puhelimeni", Topic::Phone),
    ("mobiltelefon", Topic::Phone),
    ("rufnummer", Topic::Phone),
    ("festnetz", Topic::Phone),
    ("durchwahl", Topic::Phone),
    ("appelez", Topic::Phone),
    ("llamar", Topic::Phone),
    ("llame", Topic::Phone),
    ("ligue", Topic::Phone),
    ("tlf", Topic::Phone),
    ("mobilnummeret", Topic::Phone),
    ("mobiltlf", Topic::Phone),
    ("puh", Topic::Phone),
    ("card", Topic::Card),
    ("credit", Topic::Card),
    ("debit", Topic::Card),
    ("visa", Topic::Card),
    ("mastercard", Topic::Card),
    ("amex", Topic::Card),
    ("maestro", Topic::Card),
    ("cc", Topic::Card),
    ("cardnumber", Topic::Card),
    ("creditcard", Topic::Card),
    ("payment", Topic::Card),
    ("kreditkarte", Topic::Card),
    ("kreditkartennummer", Topic::Card),
    ("tarjeta", Topic::Card),
    ("carte", Topic::Card),
    ("cvv", Topic::Card),
    ("diners", Topic::Card),
    ("karte", Topic::Card),
    ("carta", Topic::Card),
    ("cartao", Topic::Card),
    ("creditcardnumber", Topic::Card),
    ("karta", Topic::Card),
    ("karty", Topic::Card),
    ("kort", Topic::Card),
    ("kortti", Topic::Card),
    ("kaart", Topic::Card),
    ("kredi", Topic::Card),
    ("bankkort", Topic::Card),
    ("kartya", Topic::Card),
    ("pan", Topic::Card),
    ("ssn", Topic::Ssn),
    ("social", Topic::Ssn),
    ("itin", Topic::Ssn),
    ("taxpayer", Topic::Ssn),
    ("ssa", Topic::Ssn),
    ("tin", Topic::Ssn),
    ("born", Topic::Birth),
    ("birth", Topic::Birth),
    ("birthday", Topic::Birth),
    ("birthdate", Topic::Birth),
    ("dob", Topic::Birth),
    ("bday", Topic::Birth),
    ("dateofbirth", Topic::Birth),
    ("geboren", Topic::Birth),
    ("geb", Topic::Birth),
    ("geburtsdatum", Topic::Birth),
    ("geburtstag", Topic::Birth),
    ("nacido", Topic::Birth),
    ("nacida", Topic::Birth),
    ("nacimiento", Topic::Birth),
    ("naissance", Topic::Birth),
    ("nato", Topic::Birth),
    ("nata", Topic::Birth),
    ("nascita", Topic::Birth),
    ("nascido", Topic::Birth),
    ("nascida", Topic::Birth),
    ("nascimento", Topic::Birth),
    ("geboortedatum", Topic::Birth),
    ("urodzenia", Topic::Birth),
    ("urodzony", Topic::Birth),
    ("urodzona", Topic::Birth),
    ("narozen", Topic::Birth),
    ("narozena", Topic::Birth),
    ("narozeni", Topic::Birth),
    ("fodelsedatum", Topic::Birth),
    ("fodselsdato", Topic::Birth),
    ("syntynyt", Topic::Birth),
    ("syntymaika", Topic::Birth),
    ("dogum", Topic::Birth),
    ("dogdu", Topic::Birth),
    ("szuletett", Topic::Birth),
    ("birthdt", Topic::Birth),
    ("version", Topic::Version),
    ("ver", Topic::Version),
    ("release", Topic::Version),
    ("build", Topic::Version),
    ("firmware", Topic::Version),
    ("oid", Topic::Version),
    ("section", Topic::Version),
    ("chapter", Topic::Version),
    ("clause", Topic::Version),
    ("paragraph", Topic::Version),
    ("appendix", Topic::Version),
    ("upgrade", Topic::Version),
    ("upgraded", Topic::Version),
    ("update", Topic::Version),
    ("updated", Topic::Version),
    ("semver", Topic::Version),
    ("ip", Topic::Visitor),
    ("ipaddress", Topic::Visitor),
    ("server", Topic::Network),
    ("host", Topic::Network),
    ("client", Topic::Visitor),
    ("dns", Topic::Network),
    ("ping", Topic::Network),
    ("subnet", Topic::Network),
    ("gateway", Topic::Network),
    ("addr", Topic::Network),
    ("ipv", Topic::Network),
    ("router", Topic::Network),
    ("network", Topic::Network),
    ("logged", Topic::Visitor),
    ("login", Topic::Visitor),
    ("visitor", Topic::Visitor),
    ("peer", Topic::Visitor),
    ("order", Topic::Goods),
    ("invoice", Topic::Goods),
    ("tracking", Topic::Goods),
    ("serial", Topic::Goods),
    ("sku", Topic::Goods),
    ("model", Topic::Goods),
    ("part", Topic::Goods),
    ("patent", Topic::Goods),
    ("item", Topic::Goods),
    ("isbn", Topic::Goods),
    ("issn", Topic::Goods),
    ("lot", Topic::Goods),
    ("batch", Topic::Goods),
    ("ndc", Topic::Goods),
    ("faktura", Topic::Goods),
    ("rechnung", Topic::Goods),
    ("facture", Topic::Goods),
    ("factura", Topic::Goods),
    ("fattura", Topic::Goods),
    ("fatura", Topic::Goods),
    ("fv", Topic::Goods),
    ("bestellung", Topic::Goods),
    ("commande", Topic::Goods),
    ("pedido", Topic::Goods),
    ("account", Topic::Identifier),
    ("acct", Topic::Identifier),
    ("id", Topic::Identifier),
    ("ref", Topic::Identifier),
    ("reference", Topic::Identifier),
    ("ticket", Topic::Identifier),
    ("case", Topic::Identifier),
    ("article", Topic::Identifier),
    ("zip", Topic::Identifier),
    ("postcode", Topic::Identifier),
    ("issue", Topic::Identifier),
    ("bug", Topic::Identifier),
    ("commit", Topic::Identifier),
    ("page", Topic::Identifier),
    ("row", Topic::Identifier),
    ("quantity", Topic::Identifier),
    ("total", Topic::Identifier),
    ("amount", Topic::Identifier),
    ("price", Topic::Identifier),
    ("population", Topic::Identifier),
    ("iban", Topic::Identifier),
    ("routing", Topic::Identifier),
    ("code", Topic::Identifier),
    ("docket", Topic::Identifier),
    ("mrn", Topic::Identifier),
    ("doi", Topic::Identifier),
    ("usd", Topic::Identifier),
    ("eur", Topic::Identifier),
    ("gbp", Topic::Identifier),
    ("ein", Topic::Identifier),
    ("vat", Topic::Identifier),
    ("cve", Topic::Identifier),
    ("policy", Topic::Identifier),
    ("customer", Topic::Identifier),
    ("date", Topic::Identifier),
    ("konto", Topic::Identifier),
    ("compte", Topic::Identifier),
    ("cuenta", Topic::Identifier),
    ("nhs", Topic::Nhs),
    ("sin", Topic::Sin),
    ("nas", Topic::Sin),
    ("aadhaar", Topic::Aadhaar),
    ("aadhar", Topic::Aadhaar),
    ("adhaar", Topic::Aadhaar),
    ("uidai", Topic::Aadhaar),
    ("uid", Topic::Aadhaar),
    ("license", Topic::License),
    ("licence", Topic::License),
    ("dl", Topic::License),
    ("permit", Topic::License),
    ("permis", Topic::License),
    ("licencia", Topic::License),
    ("patente", Topic::License),
    ("carteira", Topic::License),
    ("carnet", Topic::License),
    ("prawo", Topic::License),
    ("driver", Topic::Driver),
    ("driving", Topic::Driver),
    ("conduire", Topic::Driver),
    ("conducir", Topic::Driver),
    ("conducere", Topic::Driver),
    ("guida", Topic::Driver),
    ("motorista", Topic::Driver),
    ("conducao", Topic::Driver),
    ("jazdy", Topic::Driver),
    ("passport", Topic::Passport),
    ("reisepass", Topic::Passport),
    ("passeport", Topic::Passport),
    ("pasaporte", Topic::Passport),
    ("passaporto", Topic::Passport),
    ("passaporte", Topic::Passport),
    ("paspoort", Topic::Passport),
    ("paszport", Topic::Passport),
    ("paszportu", Topic::Passport),
    ("pasaport", Topic::Passport),
    ("utlevel", Topic::Passport),
    ("passnummer", Topic::Passport),
    ("passnr", Topic::Passport),
    ("pasnummer", Topic::Passport),
    ("pasnr", Topic::Passport),
    ("passi", Topic::Passport),
    ("wallet", Topic::Wallet),
    ("bitcoin", Topic::Wallet),
    ("btc", Topic::Wallet),
    ("ethereum", Topic::Wallet),
    ("eth", Topic::Wallet),
    ("crypto", Topic::Wallet),
    ("address", Topic::Residence),
    ("live", Topic::Residence),
    ("living", Topic::Residence),
    ("lived", Topic::Residence),
    ("reside", Topic::Residence),
    ("residing", Topic::Residence),
    ("located", Topic::Residence),
    ("mailing", Topic::Residence),
    ("shipping", Topic::Residence),
    ("deliver", Topic::Residence),
    ("ship", Topic::Residence),
    ("home", Topic::Residence),
    ("residence", Topic::Residence),
    ("moved", Topic::Residence),
    ("street", Topic::Residence),
    ("wohne", Topic::Residence),
    ("wohnt", Topic::Residence),
    ("wohnhaft", Topic::Residence),
    ("adresse", Topic::Residence),
    ("anschrift", Topic::Residence),
    ("habite", Topic::Residence),
    ("demeure", Topic::Residence),
    ("domicile", Topic::Residence),
    ("vivo", Topic::Residence),
    ("direccion", Topic::Residence),
    ("indirizzo", Topic::Residence),
    ("abito", Topic::Residence),
    ("moro", Topic::Residence),
    ("endereco", Topic::Residence),
    ("adres", Topic::Residence),
    ("woon", Topic::Residence),
    ("mieszkam", Topic::Residence),
    ("ssh", Topic::Shell),
    ("scp", Topic::Shell),
    ("rsync", Topic::Shell),
    ("sftp", Topic::Shell),
    ("nino", Topic::Nino),
    ("insurance", Topic::Nino),
    ("cpf", Topic::Cpf),
    ("mac", Topic::Hardware),
    ("hw", Topic::Hardware),
    ("hwaddr", Topic::Hardware),
    ("ethernet", Topic::Hardware),
    ("bssid", Topic::Hardware),
    ("fuehrerschein", Topic::DrivingLicence),
    ("rijbewijs", Topic::DrivingLicence),
    ("ehliyet", Topic::DrivingLicence),
    ("ajokortti", Topic::DrivingLicence),
    ("korekort", Topic::DrivingLicence),
    ("forerkort", Topic::DrivingLicence),
    ("korkort", Topic::DrivingLicence),
    ("cnh", Topic::DrivingLicence),
]);

/// The dictionary of words with letters that are not ASCII, as they begin.
fn foreign(word: &[u8]) -> Option<Topic> {
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

/// What the word right behind `position` is: `14.03.1980 geboren`.
pub(super) fn topic_after(text: &[u8], position: usize, topic: Topic) -> bool {
    let mut start = position;
    while matches!(at(text, start), b' ' | b',') && start < position + 2 {
        start += 1;
    }
    let mut end = start;
    while end < start + LONGEST_WORD && end < text.len() && is_letter(text[end]) {
        end += 1;
    }
    let mut nearby = Nearby {
        distance: [FAR; TOPICS],
        bytes_read: 0,
    };
    if start > position {
        look_up(&text[start..end], 0, &mut nearby);
    }
    nearby.has(topic)
}

/// Whether the word right after `position` says that the number before it is a telephone: `… office`, `… (fax)`.
pub(super) fn phone_word_after(text: &[u8], position: usize) -> bool {
    let mut start = position;
    while matches!(at(text, start), b' ' | b'\t' | b'(' | b',') && start < position + 3 {
        start += 1;
    }
    if start == position {
        return false;
    }
    let mut word = [0u8; 8];
    let mut length = 0;
    while length < word.len() && at(text, start + length).is_ascii_alphabetic() {
        word[length] = at(text, start + length).to_ascii_lowercase();
        length += 1;
    }
    matches!(
        &word[..length],
        b"office" | b"fax" | b"mobile" | b"cell" | b"desk" | b"phone" | b"tel"
    )
}
