//! The words before a candidate: what they say it is, and how near they stand.
//!
//! Detectors whose form alone is ambiguous (a date, ten digits) ask for [`Nearby`] and compare distances: `order` next
//! to the number outweighs `phone` further away.
//!
//! The walk goes back at most [`WINDOW_WORDS`] words and [`WINDOW_BYTES`] bytes, and never over a barrier: the end of
//! an earlier match, or a redaction placeholder. The barrier is what keeps redaction idempotent, since a word that is
//! gone after redaction was not heard before it either. A barrier passes on its own type, so that the second number
//! in `phone 1234567, 1234568` is still a phone.

use super::bytes::at;
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
        while start > floor && is_letter(text[start - 1]) {
            start -= 1;
        }
        // `SET_VRING_CALL` is a call of programs.
        let joined = at(text, end) == b'_' || start > 0 && text[start - 1] == b'_';
        if !(joined && text[start..end].eq_ignore_ascii_case(b"call")) {
            look_up(&text[start..end], words, &mut nearby);
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
fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte >= 0x80
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
    if unspaced(word) {
        for (part, topic) in UNSPACED {
            if word.windows(part.len()).any(|window| window == part.as_bytes()) {
                nearby.note(*topic, distance);
            }
        }
        return;
    }
    let mut start = 0;
    for end in 1..word.len() {
        if word[end].is_ascii_uppercase() && word[end - 1].is_ascii_lowercase() {
            look_up_one(&word[start..end], distance, nearby);
            start = end;
        }
    }
    look_up_one(&word[start..], distance, nearby);
    if start > 0 {
        look_up_one(word, distance, nearby);
    }
}

/// Whether a word is of a script that puts no spaces between words: kana, CJK and Hangul start with these bytes.
fn unspaced(word: &[u8]) -> bool {
    word.iter().any(|byte| (0xE3..=0xED).contains(byte))
}

fn look_up_one(word: &[u8], distance: usize, nearby: &mut Nearby) {
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

/// The dictionary. Words are lower case (only where they are ASCII) and singular.
fn topic_of(word: &[u8]) -> Option<Topic> {
    if !word.is_ascii() {
        return foreign(word);
    }
    Some(match word {
        b"phone" | b"telephone" | b"tel" | b"call" | b"calling" | b"cell" | b"cellphone" | b"cellular"
        | b"mobile" | b"mob" | b"fax" | b"whatsapp" | b"sms" | b"dial" | b"reach" | b"contact" | b"handy"
        | b"hotline" | b"voicemail" | b"helpline" | b"landline" | b"pager" | b"desk" | b"ph" | b"mobil"
        | b"celular" | b"cellulare" | b"gsm" | b"movil" | b"telemovel" | b"komorka" | b"komorkowy"
        | b"mobiele" | b"mobilni" | b"puhelin" | b"puhelinnumero" | b"puhelimeni" | b"mobiltelefon"
        | b"rufnummer" | b"festnetz" | b"durchwahl" | b"appelez" | b"llamar" | b"llame" | b"ligue"
        | b"tlf" | b"mobilnummeret" | b"mobiltlf" | b"puh" => Topic::Phone,
        _ if word.starts_with(b"telef") || word.starts_with(b"telepho") => Topic::Phone,
        b"card"
        | b"credit"
        | b"debit"
        | b"visa"
        | b"mastercard"
        | b"amex"
        | b"maestro"
        | b"cc"
        | b"cardnumber"
        | b"creditcard"
        | b"payment"
        | b"kreditkarte"
        | b"kreditkartennummer"
        | b"tarjeta"
        | b"carte"
        | b"cvv"
        | b"diners"
        | b"karte"
        | b"carta"
        | b"cartao"
        | b"creditcardnumber"
        | b"karta"
        | b"karty"
        | b"kort"
        | b"kortti"
        | b"kaart"
        | b"kredi"
        | b"bankkort"
        | b"kartya"
        | b"pan" => Topic::Card,
        b"ssn" | b"social" | b"itin" | b"taxpayer" | b"ssa" | b"tin" => Topic::Ssn,
        b"born" | b"birth" | b"birthday" | b"birthdate" | b"dob" | b"bday" | b"dateofbirth" | b"geboren"
        | b"geb" | b"geburtsdatum" | b"geburtstag" | b"nacido" | b"nacida" | b"nacimiento" | b"naissance"
        | b"nato" | b"nata" | b"nascita" | b"nascido" | b"nascida" | b"nascimento" | b"geboortedatum"
        | b"urodzenia" | b"urodzony" | b"urodzona" | b"narozen" | b"narozena" | b"narozeni"
        | b"fodelsedatum" | b"fodselsdato" | b"syntynyt" | b"syntymaika" | b"dogum" | b"dogdu"
        | b"szuletett" | b"birthdt" => Topic::Birth,
        b"version" | b"ver" | b"release" | b"build" | b"firmware" | b"oid" | b"section" | b"chapter"
        | b"clause" | b"paragraph" | b"appendix" | b"upgrade" | b"upgraded" | b"update" | b"updated"
        | b"semver" => Topic::Version,
        b"ip" | b"ipaddress" | b"client" | b"logged" | b"login" | b"visitor" | b"peer" => Topic::Visitor,
        b"server" | b"host" | b"dns" | b"ping" | b"subnet" | b"gateway" | b"addr" | b"ipv" | b"router"
        | b"network" => Topic::Network,
        b"order" | b"invoice" | b"tracking" | b"serial" | b"sku" | b"model" | b"part" | b"patent"
        | b"item" | b"isbn" | b"issn" | b"lot" | b"batch" | b"ndc" | b"faktura" | b"rechnung"
        | b"facture" | b"factura" | b"fattura" | b"fatura" | b"fv" | b"bestellung" | b"commande"
        | b"pedido" => Topic::Goods,
        b"account" | b"acct" | b"id" | b"ref" | b"reference" | b"ticket" | b"case" | b"article" | b"zip"
        | b"postcode" | b"issue" | b"bug" | b"commit" | b"page" | b"row" | b"quantity" | b"total"
        | b"amount" | b"price" | b"population" | b"iban" | b"routing" | b"code" | b"docket" | b"mrn"
        | b"doi" | b"usd" | b"eur" | b"gbp" | b"ein" | b"vat" | b"cve" | b"policy" | b"customer"
        | b"date" | b"konto" | b"compte" | b"cuenta" => Topic::Identifier,
        b"nhs" => Topic::Nhs,
        b"sin" | b"nas" => Topic::Sin,
        b"aadhaar" | b"aadhar" | b"adhaar" | b"uidai" | b"uid" => Topic::Aadhaar,
        b"license" | b"licence" | b"dl" | b"permit" | b"permis" | b"licencia" | b"patente" | b"carteira"
        | b"carnet" | b"prawo" => Topic::License,
        b"driver" | b"driving" | b"conduire" | b"conducir" | b"conducere" | b"guida" | b"motorista"
        | b"conducao" | b"jazdy" => Topic::Driver,
        b"fuehrerschein" | b"rijbewijs" | b"ehliyet" | b"ajokortti" | b"korekort" | b"forerkort"
        | b"korkort" | b"cnh" => Topic::DrivingLicence,
        b"passport" | b"reisepass" | b"passeport" | b"pasaporte" | b"passaporto" | b"passaporte"
        | b"paspoort" | b"paszport" | b"paszportu" | b"pasaport" | b"utlevel" | b"passnummer" | b"passnr"
        | b"pasnummer" | b"pasnr" | b"passi" => Topic::Passport,
        b"wallet" | b"bitcoin" | b"btc" | b"ethereum" | b"eth" | b"crypto" => Topic::Wallet,
        b"address" | b"live" | b"living" | b"lived" | b"reside" | b"residing" | b"located" | b"mailing"
        | b"shipping" | b"deliver" | b"ship" | b"home" | b"residence" | b"moved" | b"street" | b"wohne"
        | b"wohnt" | b"wohnhaft" | b"adresse" | b"anschrift" | b"habite" | b"demeure" | b"domicile"
        | b"vivo" | b"direccion" | b"indirizzo" | b"abito" | b"moro" | b"endereco" | b"adres" | b"woon"
        | b"mieszkam" => Topic::Residence,
        b"ssh" | b"scp" | b"rsync" | b"sftp" => Topic::Shell,
        b"nino" | b"insurance" => Topic::Nino,
        b"cpf" => Topic::Cpf,
        b"mac" | b"hw" | b"hwaddr" | b"ethernet" | b"bssid" => Topic::Hardware,
        _ => return None,
    })
}

/// The dictionary of words with letters that are not ASCII, as they begin.
fn foreign(word: &[u8]) -> Option<Topic> {
    const WORDS: &[(&str, Topic)] = &[
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
