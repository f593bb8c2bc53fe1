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
use super::types::PiiType;

/// Words looked at.
const WINDOW_WORDS: usize = 6;
/// Bytes looked at, whatever the words.
const WINDOW_BYTES: usize = 72;
/// Longest word in the table; longer ones are not looked up.
const LONGEST_WORD: usize = 16;

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
}

/// How many topics there are.
const TOPICS: usize = 17;
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

/// Reads the words before `position`.
pub(super) fn before(text: &[u8], position: usize, barrier: Barrier) -> Nearby {
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
        look_up(&text[start..end], words, &mut nearby);
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
/// - `secrets::assigned` looks for a name behind the colon.
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
            // In every detector these two weaken a finding or take it back.
            heard.distance[Topic::Identifier as usize] = FAR;
            heard.distance[Topic::Version as usize] = FAR;
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
        PiiType::CreditCard => nearby.note(Topic::Card, distance),
        _ => {}
    }
}

/// Notes the topics of one word.
fn look_up(word: &[u8], distance: usize, nearby: &mut Nearby) {
    if word.len() < 2 || word.len() > LONGEST_WORD {
        return;
    }
    let mut lower = [0u8; LONGEST_WORD];
    let lower = &mut lower[..word.len()];
    lower.copy_from_slice(word);
    lower.make_ascii_lowercase();
    if let Some(topic) = topic_of(lower) {
        nearby.note(topic, distance);
    } else if let [stem @ .., b's'] = &*lower
        && let Some(topic) = topic_of(stem)
    {
        nearby.note(topic, distance);
    }
}

/// The dictionary. Words are lower case and singular.
fn topic_of(word: &[u8]) -> Option<Topic> {
    Some(match word {
        b"phone" | b"telephone" | b"tel" | b"call" | b"calling" | b"cell" | b"cellphone" | b"cellular"
        | b"mobile" | b"mob" | b"fax" | b"whatsapp" | b"sms" | b"dial" | b"reach" | b"contact"
        | b"phonenumber" | b"phoneno" | b"telefon" | b"handy" | b"hotline" | b"voicemail" | b"helpline"
        | b"landline" | b"pager" | b"desk" | b"ph" | b"mobil" | b"celular" | b"cellulare" | b"telefono"
        | b"telefoon" => Topic::Phone,
        _ if word == "téléphone".as_bytes() || word == "teléfono".as_bytes() => Topic::Phone,
        b"card" | b"credit" | b"debit" | b"visa" | b"mastercard" | b"amex" | b"maestro" | b"cc"
        | b"cardnumber" | b"creditcard" | b"ccnumber" | b"payment" | b"kreditkarte" | b"tarjeta"
        | b"carte" | b"cvv" | b"diners" => Topic::Card,
        b"ssn" | b"social" | b"itin" | b"taxpayer" | b"ssa" | b"tin" => Topic::Ssn,
        b"born" | b"birth" | b"birthday" | b"birthdate" | b"dob" | b"bday" | b"dateofbirth" | b"geboren"
        | b"geb" | b"nacido" | b"nacida" | b"nacimiento" | b"naissance" | b"nato" | b"nata" => Topic::Birth,
        _ if word == "né".as_bytes() || word == "née".as_bytes() => Topic::Birth,
        b"version" | b"ver" | b"release" | b"build" | b"firmware" | b"oid" | b"section" | b"chapter"
        | b"clause" | b"paragraph" | b"appendix" | b"upgrade" | b"upgraded" | b"update" | b"updated"
        | b"semver" => Topic::Version,
        b"ip" | b"ipaddress" | b"server" | b"host" | b"client" | b"dns" | b"ping" | b"subnet"
        | b"gateway" | b"addr" | b"ipv" | b"router" | b"network" => Topic::Network,
        b"order" | b"invoice" | b"account" | b"acct" | b"id" | b"ref" | b"reference" | b"ticket"
        | b"case" | b"isbn" | b"tracking" | b"serial" | b"sku" | b"model" | b"part" | b"patent"
        | b"article" | b"zip" | b"postcode" | b"issue" | b"bug" | b"commit" | b"page" | b"row" | b"item"
        | b"quantity" | b"total" | b"amount" | b"price" | b"population" | b"iban" | b"routing" | b"code"
        | b"docket" | b"mrn" | b"doi" | b"issn" | b"batch" | b"lot" | b"usd" | b"eur" | b"gbp"
        | b"policy" | b"customer" | b"date" => Topic::Identifier,
        b"nhs" => Topic::Nhs,
        b"sin" => Topic::Sin,
        b"aadhaar" | b"aadhar" | b"adhaar" | b"uidai" | b"uid" => Topic::Aadhaar,
        b"license" | b"licence" | b"dl" | b"permit" => Topic::License,
        b"driver" | b"driving" => Topic::Driver,
        b"passport" => Topic::Passport,
        b"wallet" | b"bitcoin" | b"btc" | b"ethereum" | b"eth" | b"crypto" => Topic::Wallet,
        b"address" | b"live" | b"living" | b"lived" | b"reside" | b"residing" | b"located" | b"mailing"
        | b"shipping" | b"deliver" | b"ship" | b"home" | b"residence" | b"moved" | b"street" => {
            Topic::Residence
        }
        b"ssh" | b"scp" | b"rsync" | b"sftp" => Topic::Shell,
        b"nino" | b"insurance" => Topic::Nino,
        _ => return None,
    })
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
