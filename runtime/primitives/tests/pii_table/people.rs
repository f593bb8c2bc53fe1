//! Personal data as 42 places and their languages write it.
//!
//! Telephone numbers follow the numbering plans of the countries, account numbers the lengths of the IBAN registry, the rest
//! the issuers' definitions. A locale says which words stand before a number there.

use policy_primitives::pii::PiiType;

use super::draw::{self, Draw};
use super::table::{Case, Group};

/// How a country writes what identifies its people.
struct Locale {
    name: &'static str,
    /// Telephones as they are written inside of the country.
    national: &'static [&'static str],
    /// As they are written for callers from elsewhere.
    international: &'static [&'static str],
    /// Sentences before or around a telephone; `§` is the number.
    calls: &'static [&'static str],
    /// The same with a date of birth.
    births: &'static [&'static str],
    /// Dates: `Y`, `M`, `D`.
    dates: &'static [&'static str],
    /// Country and national part of an account number; empty where there is none.
    account: (&'static str, &'static str),
}

const EN_CALLS: &[&str] = &[
    "Phone: §",
    "call me at § please",
    "my phone number is §.",
    "Tel. §",
];
const EN_BIRTHS: &[&str] = &["Date of birth: §", "DOB: §", "She was born on §.", "birthday §"];
const DE_CALLS: &[&str] = &["Telefon: §", "Meine Handynummer ist §.", "Tel.: §", "Mobil §"];
const DE_BIRTHS: &[&str] = &[
    "Geburtsdatum: §",
    "geboren am §",
    "geb. §",
    "Er ist am § geboren.",
];
const FR_CALLS: &[&str] = &[
    "Téléphone : §",
    "mon portable est le §",
    "Tél. : §",
    "appelez-moi au §",
];
const FR_BIRTHS: &[&str] = &["Date de naissance : §", "né le §", "Elle est née le §."];
const ES_CALLS: &[&str] = &["Teléfono: §", "mi móvil es el §", "Tel.: §", "mi celular: §"];
const ES_BIRTHS: &[&str] = &["Fecha de nacimiento: §", "nacido el §", "nacida el §"];
const NL_CALLS: &[&str] = &["Telefoon: §", "mijn mobiele nummer is §", "telefoonnummer §"];
const NL_BIRTHS: &[&str] = &["Geboortedatum: §", "geboren op §"];
const PT_CALLS: &[&str] = &["Telefone: §", "meu celular é §", "telemóvel: §"];
const PT_BIRTHS: &[&str] = &["Data de nascimento: §", "nascido em §", "nascida em §"];
const ZH_CALLS: &[&str] = &["电话:§", "我的手机号是§。", "電話:§", "手機號碼 §"];
const ZH_BIRTHS: &[&str] = &["出生日期:§", "生日:§", "出生日期 §"];
const NANP: &[&str] = &[
    "[2-9][02-8][0-9]-[2-9][02-9][0-9]-[0-9]{4}",
    "\\([2-9][02-8][0-9]\\) [2-9][02-9][0-9]-[0-9]{4}",
    "[2-9][02-8][0-9]\\.[2-9][02-9][0-9]\\.[0-9]{4}",
    "1-[2-9][02-8][0-9]-[2-9][02-9][0-9]-[0-9]{4}",
];
const NANP_ABROAD: &[&str] = &[
    "+1 [2-9][02-8][0-9]-[2-9][02-9][0-9]-[0-9]{4}",
    "+1 \\([2-9][02-8][0-9]\\) [2-9][02-9][0-9]-[0-9]{4}",
    "+1[2-9][02-8][0-9][2-9][02-9][0-9][0-9]{4}",
];

const LOCALES: &[Locale] = &[
    Locale {
        name: "en_US",
        national: NANP,
        international: NANP_ABROAD,
        calls: EN_CALLS,
        births: EN_BIRTHS,
        dates: &["M/D/Y", "Y-M-D", "m D, Y"],
        account: ("", ""),
    },
    Locale {
        name: "en_CA",
        national: NANP,
        international: NANP_ABROAD,
        calls: EN_CALLS,
        births: EN_BIRTHS,
        dates: &["Y-M-D", "D/M/Y"],
        account: ("", ""),
    },
    Locale {
        name: "en_GB",
        national: &[
            "07[4579][0-9]{2} [0-9]{6}",
            "020 [378][0-9]{3} [0-9]{4}",
            "0161 [2-9][0-9]{2} [0-9]{4}",
            "01[2-9][0-9]{2} [0-9]{6}",
            "07[4579][0-9]{8}",
        ],
        international: &[
            "+44 7[4579][0-9]{2} [0-9]{6}",
            "+44 \\(0\\)20 [378][0-9]{3} [0-9]{4}",
            "0044 7[4579][0-9]{2} [0-9]{6}",
        ],
        calls: EN_CALLS,
        births: EN_BIRTHS,
        dates: &["D/M/Y", "D m Y"],
        account: ("GB", "[A-Z]{4}[0-9]{14}"),
    },
    Locale {
        name: "en_AU",
        national: &[
            "04[0-9]{2} [0-9]{3} [0-9]{3}",
            "\\(0[2378]\\) [2-9][0-9]{3} [0-9]{4}",
        ],
        international: &["+61 4[0-9]{2} [0-9]{3} [0-9]{3}", "+61 2 [2-9][0-9]{3} [0-9]{4}"],
        calls: EN_CALLS,
        births: EN_BIRTHS,
        dates: &["D/M/Y"],
        account: ("", ""),
    },
    Locale {
        name: "en_NZ",
        national: &["02[1279] [0-9]{3} [0-9]{4}", "09 [2-9][0-9]{2} [0-9]{4}"],
        international: &["+64 21 [0-9]{3} [0-9]{4}", "+64 9 [2-9][0-9]{2} [0-9]{4}"],
        calls: EN_CALLS,
        births: EN_BIRTHS,
        dates: &["D/M/Y"],
        account: ("", ""),
    },
    Locale {
        name: "en_IE",
        national: &["08[35679] [0-9]{3} [0-9]{4}", "01 [2-9][0-9]{2} [0-9]{4}"],
        international: &["+353 8[35679] [0-9]{3} [0-9]{4}", "+353 1 [2-9][0-9]{2} [0-9]{4}"],
        calls: EN_CALLS,
        births: EN_BIRTHS,
        dates: &["D/M/Y"],
        account: ("IE", "[A-Z]{4}[0-9]{14}"),
    },
    Locale {
        name: "en_IN",
        national: &["[6-9][0-9]{4} [0-9]{5}", "[6-9][0-9]{9}", "0[6-9][0-9]{9}"],
        international: &[
            "+91 [6-9][0-9]{4} [0-9]{5}",
            "+91-[6-9][0-9]{9}",
            "+91[6-9][0-9]{9}",
        ],
        calls: EN_CALLS,
        births: EN_BIRTHS,
        dates: &["D-M-Y", "D/M/Y"],
        account: ("", ""),
    },
    Locale {
        name: "en_ZA",
        national: &["0[678][0-9] [0-9]{3} [0-9]{4}", "021 [3-9][0-9]{2} [0-9]{4}"],
        international: &["+27 [678][0-9] [0-9]{3} [0-9]{4}"],
        calls: EN_CALLS,
        births: EN_BIRTHS,
        dates: &["Y/M/D", "D/M/Y"],
        account: ("", ""),
    },
    Locale {
        name: "de_DE",
        national: &[
            "01[567][0-9] [0-9]{7,8}",
            "030 [2-9][0-9]{6,7}",
            "089/[2-9][0-9]{6}",
            "0[2-9][0-9]{2}-[1-9][0-9]{6}",
            "\\(0711\\) [1-9][0-9]{5}",
            "01[567][0-9]-[0-9]{7}",
        ],
        international: &[
            "+49 1[567][0-9] [0-9]{7}",
            "+49 \\(0\\)30 [2-9][0-9]{6}",
            "+491[567][0-9]{9}",
            "0049 89 [2-9][0-9]{6}",
        ],
        calls: DE_CALLS,
        births: DE_BIRTHS,
        dates: &["D.M.Y", "Y-M-D"],
        account: ("DE", "[0-9]{18}"),
    },
    Locale {
        name: "de_AT",
        national: &["0664 [0-9]{7}", "01 [1-9][0-9]{6}", "0316/[1-9][0-9]{5}"],
        international: &["+43 664 [0-9]{7}", "+43 1 [1-9][0-9]{6}"],
        calls: DE_CALLS,
        births: DE_BIRTHS,
        dates: &["D.M.Y"],
        account: ("AT", "[0-9]{16}"),
    },
    Locale {
        name: "de_CH",
        national: &[
            "07[6-9] [0-9]{3} [0-9]{2} [0-9]{2}",
            "044 [2-9][0-9]{2} [0-9]{2} [0-9]{2}",
        ],
        international: &[
            "+41 7[6-9] [0-9]{3} [0-9]{2} [0-9]{2}",
            "+41 44 [2-9][0-9]{2} [0-9]{2} [0-9]{2}",
        ],
        calls: DE_CALLS,
        births: DE_BIRTHS,
        dates: &["D.M.Y"],
        account: ("CH", "[0-9]{17}"),
    },
    Locale {
        name: "fr_FR",
        national: &[
            "0[67] [0-9]{2} [0-9]{2} [0-9]{2} [0-9]{2}",
            "01\\.[4-9][0-9]\\.[0-9]{2}\\.[0-9]{2}\\.[0-9]{2}",
            "0[67][0-9]{8}",
            "0[1-5]-[0-9]{2}-[0-9]{2}-[0-9]{2}-[0-9]{2}",
        ],
        international: &[
            "+33 [67] [0-9]{2} [0-9]{2} [0-9]{2} [0-9]{2}",
            "+33 \\(0\\)1 [4-9][0-9] [0-9]{2} [0-9]{2} [0-9]{2}",
            "+33[67][0-9]{8}",
        ],
        calls: FR_CALLS,
        births: FR_BIRTHS,
        dates: &["D/M/Y", "D m Y"],
        account: ("FR", "[0-9]{10}[0-9A-Z]{11}[0-9]{2}"),
    },
    Locale {
        name: "fr_BE",
        national: &[
            "04[5-9][0-9] [0-9]{2} [0-9]{2} [0-9]{2}",
            "02 [2-9][0-9]{2} [0-9]{2} [0-9]{2}",
        ],
        international: &["+32 4[5-9][0-9] [0-9]{2} [0-9]{2} [0-9]{2}"],
        calls: FR_CALLS,
        births: FR_BIRTHS,
        dates: &["D/M/Y"],
        account: ("BE", "[0-9]{12}"),
    },
    Locale {
        name: "fr_CA",
        national: NANP,
        international: NANP_ABROAD,
        calls: FR_CALLS,
        births: FR_BIRTHS,
        dates: &["Y-M-D", "D m Y"],
        account: ("", ""),
    },
    Locale {
        name: "nl_NL",
        national: &["06-[1-9][0-9]{7}", "06 [1-9][0-9]{7}", "020-[2-7][0-9]{6}"],
        international: &["+31 6 [1-9][0-9]{7}", "+31 20 [2-7][0-9]{6}", "+316[1-9][0-9]{7}"],
        calls: NL_CALLS,
        births: NL_BIRTHS,
        dates: &["D-M-Y", "D m Y"],
        account: ("NL", "[A-Z]{4}[0-9]{10}"),
    },
    Locale {
        name: "nl_BE",
        national: &[
            "04[5-9][0-9] [0-9]{2} [0-9]{2} [0-9]{2}",
            "03 [2-9][0-9]{2} [0-9]{2} [0-9]{2}",
        ],
        international: &[
            "+32 4[5-9][0-9] [0-9]{2} [0-9]{2} [0-9]{2}",
            "+32 3 [2-9][0-9]{2} [0-9]{2} [0-9]{2}",
        ],
        calls: NL_CALLS,
        births: NL_BIRTHS,
        dates: &["D/M/Y"],
        account: ("BE", "[0-9]{12}"),
    },
    Locale {
        name: "es_ES",
        national: &[
            "[67][0-9]{2} [0-9]{3} [0-9]{3}",
            "9[1-8][0-9] [0-9]{2} [0-9]{2} [0-9]{2}",
            "6[0-9]{8}",
        ],
        international: &["+34 [67][0-9]{2} [0-9]{3} [0-9]{3}", "+346[0-9]{8}"],
        calls: ES_CALLS,
        births: ES_BIRTHS,
        dates: &["D/M/Y", "D de m de Y"],
        account: ("ES", "[0-9]{20}"),
    },
    Locale {
        name: "es_MX",
        national: &["55 [0-9]{4} [0-9]{4}", "\\(55\\) [0-9]{4} [0-9]{4}"],
        international: &["+52 55 [0-9]{4} [0-9]{4}", "+52 1 55 [0-9]{4} [0-9]{4}"],
        calls: ES_CALLS,
        births: ES_BIRTHS,
        dates: &["D/M/Y"],
        account: ("", ""),
    },
    Locale {
        name: "es_AR",
        national: &["011 4[0-9]{3}-[0-9]{4}", "\\(011\\) 4[0-9]{3}-[0-9]{4}"],
        international: &["+54 9 11 [2-6][0-9]{3}-[0-9]{4}", "+54 11 4[0-9]{3}-[0-9]{4}"],
        calls: ES_CALLS,
        births: ES_BIRTHS,
        dates: &["D/M/Y"],
        account: ("", ""),
    },
    Locale {
        name: "it_IT",
        national: &[
            "3[2-9][0-9] [0-9]{3} [0-9]{4}",
            "06 [0-9]{4} [0-9]{4}",
            "02-[0-9]{8}",
            "3[2-9][0-9][0-9]{7}",
        ],
        international: &["+39 3[2-9][0-9] [0-9]{3} [0-9]{4}", "+39 06 [0-9]{4} [0-9]{4}"],
        calls: &["Telefono: §", "il mio cellulare è §", "Tel. §"],
        births: &["Data di nascita: §", "nato il §", "nata il §"],
        dates: &["D/M/Y", "D m Y"],
        account: ("IT", "[A-Z][0-9]{10}[0-9A-Z]{12}"),
    },
    Locale {
        name: "pt_PT",
        national: &["9[1236][0-9] [0-9]{3} [0-9]{3}", "21[0-9] [0-9]{3} [0-9]{3}"],
        international: &["+351 9[1236][0-9] [0-9]{3} [0-9]{3}"],
        calls: PT_CALLS,
        births: PT_BIRTHS,
        dates: &["D/M/Y", "D de m de Y"],
        account: ("PT", "[0-9]{21}"),
    },
    Locale {
        name: "pt_BR",
        national: &[
            "\\([1-9][1-9]\\) 9[0-9]{4}-[0-9]{4}",
            "\\(11\\) [2-5][0-9]{3}-[0-9]{4}",
            "[1-9][1-9] 9[0-9]{4}-[0-9]{4}",
        ],
        international: &[
            "+55 11 9[0-9]{4}-[0-9]{4}",
            "+55 \\(21\\) 9[0-9]{4}-[0-9]{4}",
            "+55119[0-9]{8}",
        ],
        calls: PT_CALLS,
        births: PT_BIRTHS,
        dates: &["D/M/Y"],
        account: ("BR", "[0-9]{23}[A-Z][0-9A-Z]"),
    },
    Locale {
        name: "pl_PL",
        national: &[
            "[5-8][0-9]{2} [0-9]{3} [0-9]{3}",
            "22 [0-9]{3} [0-9]{2} [0-9]{2}",
            "[5-8][0-9]{2}-[0-9]{3}-[0-9]{3}",
        ],
        international: &["+48 [5-8][0-9]{2} [0-9]{3} [0-9]{3}", "+48[5-8][0-9]{8}"],
        calls: &["Telefon: §", "Mój numer telefonu to §.", "tel. kom. §"],
        births: &["Data urodzenia: §", "urodzony §", "urodzona dnia §"],
        dates: &["D.M.Y", "D m Y"],
        account: ("PL", "[0-9]{24}"),
    },
    Locale {
        name: "cs_CZ",
        national: &["[67][0-9]{2} [0-9]{3} [0-9]{3}", "2[0-9]{2} [0-9]{3} [0-9]{3}"],
        international: &["+420 [67][0-9]{2} [0-9]{3} [0-9]{3}"],
        calls: &["Telefon: §", "můj mobil je §", "tel.: §"],
        births: &["Datum narození: §", "narozen §", "narozena §"],
        dates: &["D.M.Y", "D. m Y"],
        account: ("CZ", "[0-9]{20}"),
    },
    Locale {
        name: "hu_HU",
        national: &["06 [237]0 [0-9]{3} [0-9]{4}", "06-1-[2-4][0-9]{2}-[0-9]{4}"],
        international: &["+36 [237]0 [0-9]{3} [0-9]{4}", "+36 1 [2-4][0-9]{2} [0-9]{4}"],
        calls: &["Telefon: §", "a telefonszámom §", "mobil: §"],
        births: &["Születési dátum: §", "született: §"],
        dates: &["Y.M.D", "Y-M-D"],
        account: ("HU", "[0-9]{24}"),
    },
    Locale {
        name: "ro_RO",
        national: &["07[2-8][0-9] [0-9]{3} [0-9]{3}", "021 [2-9][0-9]{2} [0-9]{4}"],
        international: &["+40 7[2-8][0-9] [0-9]{3} [0-9]{3}"],
        calls: &["Telefon: §", "numărul meu de telefon este §", "mobil: §"],
        births: &["Data nașterii: §", "născut la §"],
        dates: &["D.M.Y"],
        account: ("RO", "[A-Z]{4}[0-9A-Z]{16}"),
    },
    Locale {
        name: "el_GR",
        national: &["69[0-9] [0-9]{3} [0-9]{4}", "210 [0-9]{7}", "69[0-9]{8}"],
        international: &["+30 69[0-9] [0-9]{3} [0-9]{4}", "+30 210 [0-9]{7}"],
        calls: &["Τηλέφωνο: §", "το κινητό μου είναι §", "τηλ. §"],
        births: &["Ημερομηνία γέννησης: §", "γεννήθηκε στις §"],
        dates: &["D/M/Y"],
        account: ("GR", "[0-9]{23}"),
    },
    Locale {
        name: "tr_TR",
        national: &[
            "05[0-9]{2} [0-9]{3} [0-9]{2} [0-9]{2}",
            "0 \\(5[0-9]{2}\\) [0-9]{3} [0-9]{2} [0-9]{2}",
            "0212 [2-9][0-9]{2} [0-9]{2} [0-9]{2}",
        ],
        international: &["+90 5[0-9]{2} [0-9]{3} [0-9]{2} [0-9]{2}", "+905[0-9]{9}"],
        calls: &["Telefon: §", "cep telefonum §", "telefon numaram §"],
        births: &["Doğum tarihi: §", "doğum günü §"],
        dates: &["D.M.Y", "D m Y"],
        account: ("TR", "[0-9]{22}"),
    },
    Locale {
        name: "ru_RU",
        national: &[
            "8 \\(9[0-9]{2}\\) [0-9]{3}-[0-9]{2}-[0-9]{2}",
            "8 9[0-9]{2} [0-9]{3} [0-9]{2} [0-9]{2}",
            "89[0-9]{9}",
        ],
        international: &[
            "+7 9[0-9]{2} [0-9]{3}-[0-9]{2}-[0-9]{2}",
            "+7 \\(9[0-9]{2}\\) [0-9]{3}-[0-9]{2}-[0-9]{2}",
            "+79[0-9]{9}",
        ],
        calls: &["Телефон: §", "мой номер телефона §", "моб. §", "тел. §"],
        births: &["Дата рождения: §", "родился §", "родилась §"],
        dates: &["D.M.Y", "D m Y"],
        account: ("", ""),
    },
    Locale {
        name: "uk_UA",
        national: &[
            "0[5-9][0-9] [0-9]{3} [0-9]{2} [0-9]{2}",
            "\\(044\\) [2-5][0-9]{2}-[0-9]{2}-[0-9]{2}",
        ],
        international: &["+380 [5-9][0-9] [0-9]{3} [0-9]{2} [0-9]{2}", "+380[5-9][0-9]{8}"],
        calls: &["Телефон: §", "мій номер телефону §", "моб. §"],
        births: &["Дата народження: §", "народився §", "народилася §"],
        dates: &["D.M.Y", "D m Y"],
        account: ("UA", "[0-9]{25}"),
    },
    Locale {
        name: "sv_SE",
        national: &[
            "07[0236]-[0-9]{3} [0-9]{2} [0-9]{2}",
            "08-[0-9]{3} [0-9]{3} [0-9]{2}",
            "07[0236] [0-9]{3} [0-9]{2} [0-9]{2}",
        ],
        international: &[
            "+46 7[0236] [0-9]{3} [0-9]{2} [0-9]{2}",
            "+46 \\(0\\)70 [0-9]{3} [0-9]{2} [0-9]{2}",
            "+46 8 [0-9]{3} [0-9]{3} [0-9]{2}",
        ],
        calls: &["Telefon: §", "mitt mobilnummer är §", "mobil: §"],
        births: &["Födelsedatum: §", "född §", "född den §"],
        dates: &["Y-M-D", "D m Y"],
        account: ("SE", "[0-9]{20}"),
    },
    Locale {
        name: "da_DK",
        national: &["[2-9][0-9] [0-9]{2} [0-9]{2} [0-9]{2}", "[2-9][0-9]{7}"],
        international: &["+45 [2-9][0-9] [0-9]{2} [0-9]{2} [0-9]{2}", "+45 [2-9][0-9]{7}"],
        calls: &["Telefon: §", "mit mobilnummer er §", "Tlf. §"],
        births: &["Fødselsdato: §", "født §", "født den §"],
        dates: &["D.M.Y", "D-M-Y"],
        account: ("DK", "[0-9]{14}"),
    },
    Locale {
        name: "no_NO",
        national: &[
            "[49][0-9]{2} [0-9]{2} [0-9]{3}",
            "[2-7][0-9] [0-9]{2} [0-9]{2} [0-9]{2}",
        ],
        international: &[
            "+47 [49][0-9]{2} [0-9]{2} [0-9]{3}",
            "+47 [2-7][0-9] [0-9]{2} [0-9]{2} [0-9]{2}",
        ],
        calls: &["Telefon: §", "mobilnummeret mitt er §", "Tlf.: §"],
        births: &["Fødselsdato: §", "født §"],
        dates: &["D.M.Y", "D. m Y"],
        account: ("NO", "[0-9]{11}"),
    },
    Locale {
        name: "fi_FI",
        national: &[
            "04[0-9] [0-9]{3} [0-9]{4}",
            "050 [0-9]{3} [0-9]{4}",
            "040-[0-9]{7}",
        ],
        international: &["+358 4[0-9] [0-9]{3} [0-9]{4}", "+358 50 [0-9]{7}"],
        calls: &["Puhelin: §", "puhelinnumeroni on §", "puh. §"],
        births: &["Syntymäaika: §", "syntynyt §"],
        dates: &["D.M.Y"],
        account: ("FI", "[0-9]{14}"),
    },
    Locale {
        name: "he_IL",
        national: &["05[0-8]-[0-9]{3}-[0-9]{4}", "05[0-8]-[0-9]{7}", "03-[0-9]{7}"],
        international: &["+972 5[0-8]-[0-9]{3}-[0-9]{4}", "+972-5[0-8]-[0-9]{7}"],
        calls: &["טלפון: §", "הטלפון שלי הוא §", "נייד §"],
        births: &["תאריך לידה: §", "נולד ב §"],
        dates: &["D/M/Y", "D.M.Y"],
        account: ("IL", "[0-9]{19}"),
    },
    Locale {
        name: "ar_SA",
        national: &[
            "05[0-9] [0-9]{3} [0-9]{4}",
            "05[0-9]{8}",
            "011 [2-9][0-9]{2} [0-9]{4}",
        ],
        international: &["+966 5[0-9] [0-9]{3} [0-9]{4}", "+9665[0-9]{8}"],
        calls: &["هاتف: §", "رقم هاتفي §", "رقم الجوال: §"],
        births: &["تاريخ الميلاد: §", "تاريخ ميلادي §"],
        dates: &["D/M/Y", "Y-M-D"],
        account: ("SA", "[0-9]{20}"),
    },
    Locale {
        name: "hi_IN",
        national: &["[6-9][0-9]{4} [0-9]{5}", "[6-9][0-9]{9}"],
        international: &["+91 [6-9][0-9]{4} [0-9]{5}", "+91-[6-9][0-9]{9}"],
        calls: &["फोन: §", "मेरा मोबाइल नंबर § है", "फ़ोन नंबर §"],
        births: &["जन्म तिथि: §", "जन्मतिथि §"],
        dates: &["D/M/Y", "D-M-Y"],
        account: ("", ""),
    },
    Locale {
        name: "zh_CN",
        national: &[
            "1[3-9][0-9] [0-9]{4} [0-9]{4}",
            "1[3-9][0-9]{9}",
            "010-[2-8][0-9]{7}",
            "1[3-9][0-9]-[0-9]{4}-[0-9]{4}",
        ],
        international: &[
            "+86 1[3-9][0-9] [0-9]{4} [0-9]{4}",
            "+861[3-9][0-9]{9}",
            "+86-10-[2-8][0-9]{7}",
        ],
        calls: ZH_CALLS,
        births: ZH_BIRTHS,
        dates: &["Y-M-D", "Y年M月D日", "Y/M/D"],
        account: ("", ""),
    },
    Locale {
        name: "zh_TW",
        national: &[
            "09[0-9]{2}-[0-9]{3}-[0-9]{3}",
            "\\(02\\) 2[0-9]{3}-[0-9]{4}",
            "09[0-9]{8}",
        ],
        international: &["+886 9[0-9]{2} [0-9]{3} [0-9]{3}", "+886-2-2[0-9]{3}-[0-9]{4}"],
        calls: ZH_CALLS,
        births: ZH_BIRTHS,
        dates: &["Y/M/D", "Y年M月D日"],
        account: ("", ""),
    },
    Locale {
        name: "ja_JP",
        national: &[
            "0[789]0-[0-9]{4}-[0-9]{4}",
            "03-[3-6][0-9]{3}-[0-9]{4}",
            "0[789]0[0-9]{8}",
        ],
        international: &[
            "+81 90-[0-9]{4}-[0-9]{4}",
            "+81 3-[3-6][0-9]{3}-[0-9]{4}",
            "+819[0-9]{9}",
        ],
        calls: &["電話:§", "電話番号は§です", "携帯 §", "携帯電話:§"],
        births: &["生年月日:§", "誕生日は§です", "生年月日 §"],
        dates: &["Y年M月D日", "Y/M/D", "Y-M-D"],
        account: ("", ""),
    },
    Locale {
        name: "ko_KR",
        national: &[
            "010-[0-9]{4}-[0-9]{4}",
            "02-[2-9][0-9]{2}-[0-9]{4}",
            "010[0-9]{8}",
            "010 [0-9]{4} [0-9]{4}",
        ],
        international: &[
            "+82 10-[0-9]{4}-[0-9]{4}",
            "+82-2-[2-9][0-9]{2}-[0-9]{4}",
            "+8210[0-9]{8}",
        ],
        calls: &["전화: §", "제 전화번호는 §입니다", "휴대폰 §", "연락처: §"],
        births: &["생년월일: §", "생일은 §입니다"],
        dates: &["Y-M-D", "Y년 M월 D일", "Y.M.D"],
        account: ("", ""),
    },
];

/// Names of months as the languages write them behind the day, for the locales that spell a date with one.
const MONTHS: &[(&str, [&str; 12])] = &[
    (
        "en",
        [
            "January",
            "February",
            "March",
            "April",
            "May",
            "June",
            "July",
            "August",
            "September",
            "October",
            "November",
            "December",
        ],
    ),
    (
        "fr",
        [
            "janvier",
            "février",
            "mars",
            "avril",
            "mai",
            "juin",
            "juillet",
            "août",
            "septembre",
            "octobre",
            "novembre",
            "décembre",
        ],
    ),
    (
        "nl",
        [
            "januari",
            "februari",
            "maart",
            "april",
            "mei",
            "juni",
            "juli",
            "augustus",
            "september",
            "oktober",
            "november",
            "december",
        ],
    ),
    (
        "es",
        [
            "enero",
            "febrero",
            "marzo",
            "abril",
            "mayo",
            "junio",
            "julio",
            "agosto",
            "septiembre",
            "octubre",
            "noviembre",
            "diciembre",
        ],
    ),
    (
        "it",
        [
            "gennaio",
            "febbraio",
            "marzo",
            "aprile",
            "maggio",
            "giugno",
            "luglio",
            "agosto",
            "settembre",
            "ottobre",
            "novembre",
            "dicembre",
        ],
    ),
    (
        "pt",
        [
            "janeiro",
            "fevereiro",
            "março",
            "abril",
            "maio",
            "junho",
            "julho",
            "agosto",
            "setembro",
            "outubro",
            "novembro",
            "dezembro",
        ],
    ),
    (
        "pl",
        [
            "stycznia",
            "lutego",
            "marca",
            "kwietnia",
            "maja",
            "czerwca",
            "lipca",
            "sierpnia",
            "września",
            "października",
            "listopada",
            "grudnia",
        ],
    ),
    (
        "cs",
        [
            "ledna",
            "února",
            "března",
            "dubna",
            "května",
            "června",
            "července",
            "srpna",
            "září",
            "října",
            "listopadu",
            "prosince",
        ],
    ),
    (
        "tr",
        [
            "Ocak", "Şubat", "Mart", "Nisan", "Mayıs", "Haziran", "Temmuz", "Ağustos", "Eylül", "Ekim",
            "Kasım", "Aralık",
        ],
    ),
    (
        "ru",
        [
            "января",
            "февраля",
            "марта",
            "апреля",
            "мая",
            "июня",
            "июля",
            "августа",
            "сентября",
            "октября",
            "ноября",
            "декабря",
        ],
    ),
    (
        "uk",
        [
            "січня",
            "лютого",
            "березня",
            "квітня",
            "травня",
            "червня",
            "липня",
            "серпня",
            "вересня",
            "жовтня",
            "листопада",
            "грудня",
        ],
    ),
    (
        "sv",
        [
            "januari",
            "februari",
            "mars",
            "april",
            "maj",
            "juni",
            "juli",
            "augusti",
            "september",
            "oktober",
            "november",
            "december",
        ],
    ),
    (
        "no",
        [
            "januar",
            "februar",
            "mars",
            "april",
            "mai",
            "juni",
            "juli",
            "august",
            "september",
            "oktober",
            "november",
            "desember",
        ],
    ),
];

/// A date of the locale `locale` in the order `form`.
fn date(draw: &mut Draw, locale: &str, form: &str) -> String {
    let (year, month, day) = (1940 + draw.below(68), 1 + draw.below(12), 1 + draw.below(28));
    form.chars()
        .map(|c| match c {
            'Y' => year.to_string(),
            'M' => format!("{month:02}"),
            'D' => format!("{day:02}"),
            'm' => {
                let (_, months) = MONTHS
                    .iter()
                    .find(|(language, _)| locale.starts_with(language))
                    .unwrap();
                months[month - 1].to_owned()
            }
            c => c.to_string(),
        })
        .collect()
}

/// How many locales there are.
pub(crate) const fn locales() -> usize {
    LOCALES.len()
}

/// Groups whose cases come from each locale.
pub(crate) fn by_locale(samples: usize) -> Vec<Group> {
    let mut abroad = Group::new("phone, international");
    let mut named = Group::new("phone, national, behind a word of the language");
    let mut bare = Group::new("phone, national, nothing around it");
    let mut listed = Group::new("phone, national, in a JSON field, a CSV column");
    let mut births = Group::new("date of birth, behind a word of the language");
    let mut accounts = Group::new("IBAN");
    for locale in LOCALES {
        let draw = &mut Draw::new(locale.name);
        for sample in 0..samples {
            let number = draw.string(locale.international[sample % locale.international.len()]);
            let around = [
                "§",
                "Please ring §, thanks.",
                "{\"to\": \"§\"}",
                "Ann\t§\tUlm",
                "Ann <§>",
            ];
            abroad.push(Case::find(PiiType::Phone, around[sample % around.len()], &number).of(locale.name));
            let number = draw.string(locale.national[sample % locale.national.len()]);
            let calls = locale.calls[(sample / locale.national.len()) % locale.calls.len()];
            named.push(Case::find(PiiType::Phone, calls, &number).of(locale.name));
            let number = draw.string(locale.national[sample % locale.national.len()]);
            let around = ["§", "She said §, then left.", "Ann, §"];
            bare.push(Case::find(PiiType::Phone, around[sample % around.len()], &number).of(locale.name));
            let number = draw.string(locale.national[sample % locale.national.len()]);
            let around = [
                "{\"name\": \"Ann\", \"mobilePhone\": \"§\"}",
                "name,phone_number,plan\nAnn,§,pro\nBob,,free\n",
                "| name | Telephone |\n|---|---|\n| Ann | § |\n",
                "{\n  \"id\": 7,\n  \"phone\": \"§\",\n  \"plan\": \"pro\"\n}\n",
                "contact_phone: §\n",
                "<phone>§</phone>",
            ];
            listed.push(Case::find(PiiType::Phone, around[sample % around.len()], &number).of(locale.name));
            let form = locale.dates[sample % locale.dates.len()];
            let date = date(draw, locale.name, form);
            let birth = locale.births[(sample / locale.dates.len()) % locale.births.len()];
            births.push(Case::find(PiiType::DateOfBirth, birth, &date).of(locale.name));
            let (country, pattern) = locale.account;
            if !country.is_empty() {
                let national = draw.string(pattern);
                let mut account = draw::iban(country, &national);
                match sample % 3 {
                    1 => account = draw::grouped(&account, &[4; 9], " "),
                    2 => account = account.to_lowercase(),
                    _ => {}
                }
                let around = ["§", "IBAN: §", "pay to § today", "{\"iban\":\"§\"}"];
                accounts
                    .push(Case::find(PiiType::Iban, around[sample % around.len()], &account).of(locale.name));
            }
        }
    }
    vec![abroad, named, bare, listed, births, accounts]
}

/// Brands of cards: first digits, length, groups.
const CARDS: &[(&str, &str, usize, &[usize])] = &[
    ("Visa", "4", 16, &[4, 4, 4, 4]),
    ("Mastercard", "5[1-5]", 16, &[4, 4, 4, 4]),
    ("Mastercard 2", "2[3-6]", 16, &[4, 4, 4, 4]),
    ("American Express", "3[47]", 15, &[4, 6, 5]),
    ("Discover", "6011", 16, &[4, 4, 4, 4]),
    ("Diners", "36", 14, &[4, 6, 4]),
    ("JCB", "35(3|4|5)", 16, &[4, 4, 4, 4]),
    ("UnionPay", "62", 16, &[4, 4, 4, 4]),
    ("Maestro", "6759", 16, &[4, 4, 4, 4]),
    ("Mir", "220[0-4]", 16, &[4, 4, 4, 4]),
];

fn card(draw: &mut Draw, sample: usize) -> (String, &'static [usize]) {
    let (_, prefix, length, groups) = CARDS[sample % CARDS.len()];
    let mut digits: Vec<u8> = draw.string(prefix).bytes().map(|b| b - b'0').collect();
    let rest = length - 1 - digits.len();
    digits.extend(draw.digits(rest));
    (draw::text(&draw::with_luhn(digits)), groups)
}

fn ssn(draw: &mut Draw) -> String {
    loop {
        let area = 1 + draw.below(899);
        if area != 666 {
            return format!("{area:03}{:02}{:04}", 1 + draw.below(99), 1 + draw.below(9999));
        }
    }
}

/// Values of the types that are the same everywhere.
pub(crate) fn by_type(samples: usize) -> Vec<Group> {
    let mut groups = Vec::new();
    let mut group = |name: &'static str, make: &mut dyn FnMut(&mut Draw, usize) -> Case| {
        let draw = &mut Draw::new(name);
        let mut group = Group::new(name);
        (0..samples * 10).for_each(|sample| group.push(make(draw, sample)));
        groups.push(group);
    };
    group("card, in groups or not", &mut |draw, sample| {
        let (number, lengths) = card(draw, sample);
        let number = match sample / CARDS.len() % 4 {
            0 => number,
            1 => draw::grouped(&number, lengths, " "),
            2 => draw::grouped(&number, lengths, "-"),
            _ => draw::grouped(&number, lengths, " - "),
        };
        let around = [
            "§",
            "card §",
            "{\"pan\": \"§\"}",
            "pay with § now",
            "cc_number,name\n§,Ann\n",
        ];
        Case::find(PiiType::CreditCard, around[sample % around.len()], &number)
    });
    group("card with dots, behind a word", &mut |draw, sample| {
        let (number, lengths) = card(draw, sample);
        let around = ["card §", "Kreditkarte: §", "carte §", "tarjeta §", "카드 §"];
        Case::find(
            PiiType::CreditCard,
            around[sample % around.len()],
            &draw::grouped(&number, lengths, "."),
        )
    });
    group("SSN, ITIN", &mut |draw, sample| {
        if sample % 5 == 4 {
            let number = draw.string("9[0-9]{2}-(5|7|8)[0-8]-[0-9]{4}");
            // Groups 66 to 69, 89 and 93 are not given out.
            let kind = PiiType::UsItin;
            let group: u32 = number[4..6].parse().unwrap();
            let number = if matches!(group, 50..=65 | 70..=88) {
                number
            } else {
                number.replacen(&number[4..6], "70", 1)
            };
            return Case::find(kind, "ITIN §", &number);
        }
        let plain = ssn(draw);
        let around = [
            "SSN: §",
            "my social security number is §",
            "{\"ssn\": \"§\"}",
            "employeeSsn=§",
        ];
        let number = match sample % 4 {
            0 => draw::grouped(&plain, &[3, 2, 4], "-"),
            1 => draw::grouped(&plain, &[3, 2, 4], " "),
            2 => plain,
            _ => draw::grouped(&plain, &[3, 2, 4], " - "),
        };
        Case::find(PiiType::Ssn, around[sample / 4 % around.len()], &number)
    });
    group("SSN in a range never issued, labelled", &mut |draw, sample| {
        let around = ["SSN: §", "ssn §", "Social Security: §"];
        let number = draw.string("(666-[0-9]{2}|000-[0-9]{2}|9[0-9]{2}-1[0-9])-[0-9]{4}");
        Case::find(PiiType::Ssn, around[sample % around.len()], &number)
    });
    group(
        "NINO, NHS, SIN, Aadhaar, CPF",
        &mut |draw, sample| match sample % 6 {
            0 => {
                let number = draw.string("[ABCEGHJ][A-CEGHJ-MPRSTWXY][0-9]{6}[A-D]");
                let number = if number.starts_with("GB") || number.starts_with("BG") {
                    number.replacen(&number[..2], "AB", 1)
                } else {
                    number
                };
                let number = if sample % 12 == 0 {
                    format!(
                        "{} {} {} {} {}",
                        &number[..2],
                        &number[2..4],
                        &number[4..6],
                        &number[6..8],
                        &number[8..]
                    )
                } else {
                    number
                };
                Case::find(PiiType::UkNino, "NI number § on file", &number)
            }
            1 => {
                let number = loop {
                    let mut digits = vec![9];
                    digits.extend(draw.digits(8));
                    if let Some(number) = draw::nhs(&digits) {
                        break number;
                    }
                };
                let number = if sample % 12 == 1 {
                    draw::grouped(&number, &[3, 3, 4], " ")
                } else {
                    number
                };
                Case::find(PiiType::UkNhs, "NHS number: §", &number)
            }
            2 => {
                let mut digits = vec![1 + draw.below(7) as u8];
                digits.extend(draw.digits(7));
                let number = draw::text(&draw::with_luhn(digits));
                let around = ["SIN: §", "mon NAS est le §", "{\"sin\": \"§\"}"];
                Case::find(
                    PiiType::CaSin,
                    around[sample / 6 % 3],
                    &draw::grouped(&number, &[3, 3, 3], [" ", "-", ""][sample / 6 % 3]),
                )
            }
            3 => {
                let mut digits = vec![2 + draw.below(8) as u8];
                digits.extend(draw.digits(10));
                let number = draw::aadhaar(&digits);
                let number = if sample % 12 == 3 {
                    draw::grouped(&number, &[4, 4, 4], " ")
                } else {
                    number
                };
                Case::find(PiiType::InAadhaar, "Aadhaar: §", &number)
            }
            4 => {
                let number = draw::cpf(&draw.digits(9));
                let number = format!(
                    "{}.{}.{}-{}",
                    &number[..3],
                    &number[3..6],
                    &number[6..9],
                    &number[9..]
                );
                Case::find(PiiType::BrCpf, ["CPF §", "§"][sample / 6 % 2], &number)
            }
            _ => Case::find(PiiType::BrCpf, "CPF: §", &draw::cpf(&draw.digits(9))),
        },
    );
    group(
        "passport, driving licence, behind their words",
        &mut |draw, sample| {
            const ASKED: &[(PiiType, &str, &str)] = &[
                (PiiType::Passport, "Passport number: §", "[A-Z][0-9]{8}"),
                (PiiType::Passport, "{\"passportNo\": \"§\"}", "[A-Z]{2}[0-9]{7}"),
                (PiiType::Passport, "Reisepass §", "C[0-9]{8}"),
                (PiiType::Passport, "passeport n° §", "[0-9]{2}[A-Z]{2}[0-9]{5}"),
                (PiiType::Passport, "паспорт: §", "[0-9]{9}"),
                (PiiType::Passport, "旅券番号:§", "T[A-Z][0-9]{7}"),
                (PiiType::Passport, "护照号码:§", "E[0-9]{8}"),
                (PiiType::DriverLicense, "driver's license §", "[A-Z][0-9]{7}"),
                (
                    PiiType::DriverLicense,
                    "driver_license_number=§",
                    "[A-Z][0-9]{12}",
                ),
                (PiiType::DriverLicense, "Driving licence: §", "[0-9]{9}"),
            ];
            let (kind, around, pattern) = ASKED[sample % ASKED.len()];
            Case::find(kind, around, &draw.string(pattern))
        },
    );
    group(
        "passport, driving licence, in other languages",
        &mut |draw, sample| {
            const ASKED: &[(PiiType, &str, &str)] = &[
                (
                    PiiType::DriverLicense,
                    "Führerscheinnummer: §",
                    "[A-Z][0-9]{8}[A-Z0-9][0-9]",
                ),
                (PiiType::DriverLicense, "permis de conduire : §", "[0-9]{12}"),
                (PiiType::DriverLicense, "licencia de conducir: §", "[0-9]{8}[A-Z]"),
                (
                    PiiType::DriverLicense,
                    "patente di guida: §",
                    "[A-Z]{2}[0-9]{7}[A-Z]",
                ),
                (PiiType::DriverLicense, "carteira de motorista: §", "[0-9]{11}"),
                (PiiType::DriverLicense, "rijbewijsnummer §", "[0-9]{10}"),
                (PiiType::DriverLicense, "prawo jazdy nr §", "[0-9]{8}"),
                (PiiType::DriverLicense, "řidičský průkaz: §", "E[A-Z][0-9]{6}"),
                (
                    PiiType::DriverLicense,
                    "водительское удостоверение: §",
                    "[0-9]{10}",
                ),
                (PiiType::DriverLicense, "посвідчення водія: §", "[A-Z]{3}[0-9]{6}"),
                (PiiType::DriverLicense, "δίπλωμα οδήγησης: §", "[0-9]{9}"),
                (PiiType::DriverLicense, "ehliyet no: §", "[1-9][0-9]{7}"),
                (PiiType::DriverLicense, "رخصة القيادة: §", "[0-9]{10}"),
                (PiiType::DriverLicense, "רישיון נהיגה: §", "[0-9]{8}"),
                (PiiType::DriverLicense, "ड्राइविंग लाइसेंस: §", "[A-Z]{2}[0-9]{13}"),
                (PiiType::DriverLicense, "驾驶证号:§", "[1-6][0-9]{16}X"),
                (PiiType::DriverLicense, "運転免許証番号: §", "[0-9]{12}"),
                (PiiType::DriverLicense, "운전면허번호 §", "[0-9]{12}"),
                (PiiType::DriverLicense, "körkort nr §", "[0-9]{12}"),
                (PiiType::DriverLicense, "kørekort: §", "[0-9]{8}"),
                (PiiType::DriverLicense, "førerkort: §", "[0-9]{11}"),
                (PiiType::DriverLicense, "ajokortti: §", "[0-9]{8}"),
                (PiiType::DriverLicense, "jogosítvány: §", "[A-Z]{2}[0-9]{6}"),
                (PiiType::Passport, "Reisepassnummer: §", "C[0-9]{2}X[0-9]{4}[A-Z]"),
                (PiiType::Passport, "pașaport: §", "[0-9]{9}"),
                (PiiType::DriverLicense, "permis de conducere: §", "[A-Z][0-9]{8}"),
                (PiiType::Passport, "passeport : §", "[0-9]{2}[A-Z]{2}[0-9]{5}"),
                (PiiType::Passport, "pasaporte: §", "[A-Z]{3}[0-9]{6}"),
                (PiiType::Passport, "passaporto: §", "[A-Z]{2}[0-9]{7}"),
                (PiiType::Passport, "passaporte: §", "[A-Z]{2}[0-9]{6}"),
                (PiiType::Passport, "paspoort: §", "[A-Z]{2}[0-9]{7}"),
                (PiiType::Passport, "paszport: §", "[A-Z]{2}[0-9]{7}"),
                (PiiType::Passport, "cestovní pas: §", "[0-9]{8}"),
                (PiiType::Passport, "pasaport no: §", "U[0-9]{8}"),
                (PiiType::Passport, "διαβατήριο: §", "[A-Z]{2}[0-9]{7}"),
                (PiiType::Passport, "דרכון: §", "[0-9]{8}"),
                (PiiType::Passport, "جواز السفر: §", "[A-Z][0-9]{8}"),
                (PiiType::Passport, "पासपोर्ट: §", "[A-Z][0-9]{7}"),
                (PiiType::Passport, "여권번호 §", "M[0-9]{8}"),
                (PiiType::Passport, "passnummer: §", "[0-9]{8}"),
                (PiiType::Passport, "pasnummer: §", "[0-9]{9}"),
                (PiiType::Passport, "passi: §", "[A-Z]{2}[0-9]{7}"),
                (PiiType::Passport, "útlevél: §", "[A-Z]{2}[0-9]{7}"),
            ];
            let (kind, around, pattern) = ASKED[sample % ASKED.len()];
            Case::find(kind, around, &draw.string(pattern))
        },
    );
    group("e-mail", &mut |draw, sample| {
        const FORMS: &[&str] = &[
            "[a-z]{3,8}@[a-z]{4,9}\\.(com|org|net|io|de|co\\.uk)",
            "[a-z]{3,8}\\.[a-z]{4,9}@mail\\.[a-z]{4,9}\\.(edu|gov|fr|com\\.br)",
            "[a-z]{3,8}+[a-z]{3}@[a-z]{4,9}\\.(com|dev|app)",
            "[A-Z][a-z]{3,8}_[0-9]{2}@[A-Z][a-z]{4,9}\\.(Com|ORG|eu)",
            "[a-z]'[a-z]{4}@[a-z]{3}-[a-z]{4}\\.(ie|com)",
        ];
        let around = [
            "§",
            "write to §.",
            "<§>",
            "{\"email\":\"§\"}",
            "mailto:§?subject=x",
            "Ann,§,Ulm",
        ];
        Case::find(
            PiiType::Email,
            around[sample % around.len()],
            &draw.string(FORMS[sample % FORMS.len()]),
        )
    });
    group("e-mail in other alphabets, and escaped", &mut |draw, sample| {
        const FORMS: &[&str] = &[
            "[а-я]{4,8}@[a-z]{4,8}\\.(com|ru)",
            "[а-я]{4,8}\\.[а-я]{4,8}@[а-я]{4,8}\\.рф",
            "[α-ω]{4,8}@[a-z]{4,8}\\.gr",
            "[a-z]{3}[äöüéñçšžøå][a-z]{2}@[a-z]{5}\\.(de|fr|es|se)",
            "[a-z]{3,6}@[a-z]{2}[äöüéñ][a-z]{3}\\.(de|fr|es)",
            "[a-z]{3,8}%40[a-z]{4,8}\\.(com|org)",
            "[a-z]{3,8}&#64;[a-z]{4,8}\\.(com|org)",
            "[a-z]{3,8}\\\\u0040[a-z]{4,8}\\.(com|org)",
            "[ا-ي]{4,8}@[a-z]{4,8}\\.sa",
            "[א-ת]{4,8}@[a-z]{4,8}\\.il",
            "[a-z]{4}@[a-z]{4}\\.xn--p1ai",
            "[a-z]{4}\\.[a-z]{2}ả[a-z]@[a-z]{5}\\.vn",
        ];
        let around = ["write to § now", "?mail=§&x=1", "<§>"];
        Case::find(
            PiiType::Email,
            around[sample / 10 % around.len()],
            &draw.string(FORMS[sample % FORMS.len()]),
        )
    });
    group("IPv4", &mut |draw, sample| {
        let number = loop {
            let octets: Vec<usize> = vec![
                11 + draw.below(212),
                draw.below(256),
                draw.below(256),
                1 + draw.below(254),
            ];
            let private = octets[0] == 127
                || octets[..2] == [169, 254]
                || octets[..2] == [192, 168]
                || octets[0] == 172 && (16..32).contains(&octets[1])
                || octets[0] == 100 && (64..128).contains(&octets[1]);
            if !private {
                break octets.iter().map(usize::to_string).collect::<Vec<_>>().join(".");
            }
        };
        let around = [
            "§",
            "logged in from §",
            "client=§ port=443",
            "§ - - [12/Mar/2024:10:15:32 +0000] \"GET / HTTP/1.1\"",
            "http://§/x",
            "{\"remote_addr\":\"§\"}",
        ];
        Case::find(PiiType::IpAddress, around[sample % around.len()], &number)
    });
    group("IPv4, small numbers, behind a word", &mut |draw, sample| {
        let number = draw.string("[1-9]\\.[1-9][0-9]{0,1}\\.[1-9]\\.[1-6][0-9]");
        let around = ["logged in from §", "client ip §", "server §", "host: §"];
        Case::find(PiiType::IpAddress, around[sample % around.len()], &number)
    });
    group("IPv6", &mut |draw, sample| {
        const FORMS: &[&str] = &[
            "2a0[0-9]:[0-9a-f]{3,4}:[1-9a-f][0-9a-f]{2,3}:[1-9a-f][0-9a-f]{0,3}::[1-9a-f]",
            "2001:[1-9a-f][0-9a-f]{3}:[1-9a-f][0-9a-f]{3}:[0-9a-f]{4}:[0-9a-f]{4}:[0-9a-f]{4}:[0-9a-f]{4}:[0-9a-f]{4}",
            "fe80::[1-9a-f][0-9a-f]{3}:[0-9a-f]{4}:[0-9a-f]{4}:[0-9a-f]{4}",
            "2607:f8b0:[0-9a-f]{4}:[1-9a-f][0-9a-f]{2}::[12][0-9a-f]{3}",
        ];
        let around = ["§", "from § port 22", "http://[§]/x", "{\"ip\":\"§\"}"];
        Case::find(
            PiiType::IpAddress,
            around[sample % around.len()],
            &draw.string(FORMS[sample % FORMS.len()]),
        )
    });
    group("MAC: colons, dashes, dots", &mut |draw, sample| {
        let hex = draw.string("[0-9][0-9a-f][0-9a-f]{9}[a-f]");
        let number = match sample % 3 {
            0 => draw::grouped(&hex, &[2; 6], ":"),
            1 => draw::grouped(&hex, &[2; 6], "-").to_uppercase(),
            _ => draw::grouped(&hex, &[4; 3], "."),
        };
        let around = ["§", "MAC §", "hw addr: §", "dev,mac\neth0,§\n"];
        Case::find(PiiType::MacAddress, around[sample / 3 % around.len()], &number)
    });
    group("wallet", &mut |draw, sample| {
        let hash: Vec<u8> = (0..20).map(|_| draw.below(256) as u8).collect();
        match sample % 3 {
            0 => Case::find(PiiType::CryptoWallet, "send to §", &draw::base58check(0, &hash)),
            1 => Case::find(PiiType::CryptoWallet, "§", &draw::base58check(5, &hash)),
            _ => Case::find(
                PiiType::CryptoWallet,
                "my ETH wallet: §",
                &draw.string("0x[0-9a-fA-F]{40}"),
            ),
        }
    });
    group(
        "address: English, French, German, Dutch, Spanish, Italian, Portuguese",
        &mut |draw, sample| {
            const FORMS: &[&str] = &[
                "[1-9][0-9]{1,3} (Oak|Maple|Park|Church|Baker) (Street|Avenue|Road|Lane|Blvd)",
                "[1-9][0-9]{1,3} (Oak|Maple|Elm) (Street|Ave), Apt\\. [1-9][A-D]",
                "[1-9][0-9]{1,3} (Oak|Maple) St, Springfield, IL 6[0-9]{4}",
                "[1-9][0-9] rue (Descartes|Pasteur|Victor Hugo)",
                "(Haupt|Bahnhof|Schiller)straße [1-9][0-9]",
                "(Kerk|Dorps|Molen)straat [1-9][0-9]",
                "[1-9][0-9] Calle (Mayor|Real)",
                "[1-9][0-9] Via (Roma|Garibaldi)",
                "[1-9][0-9] Rua (Augusta|Direita)",
                "P\\.O\\. Box [1-9][0-9]{2}",
            ];
            let around = ["I live at §.", "Ship to § please", "Address: §"];
            Case::find(
                PiiType::Address,
                around[sample % around.len()],
                &draw.string(FORMS[sample % FORMS.len()]),
            )
        },
    );
    group("second and third of a list", &mut |draw, sample| {
        let lists: &[(PiiType, &str, &str)] = &[
            (
                PiiType::Passport,
                "Passports: 1A2345678, § and XY9876543",
                "[A-Z]{2}[0-9]{7}",
            ),
            (
                PiiType::Phone,
                "Phones: 4155552671, §",
                "[2-9][02-8][0-9][2-9][02-9][0-9][0-9]{4}",
            ),
            (PiiType::CreditCard, "cards 4111 1111 1111 1111, §", ""),
            (
                PiiType::Ssn,
                "SSNs: 536-22-8726 and §",
                "(2|4)[0-9]{2}(1|4)[1-9][0-9]{3}[1-9]",
            ),
            (PiiType::Phone, "4111 1111 1111 1111, §", "020 7[0-9]{3} [0-9]{4}"),
        ];
        let (kind, around, pattern) = lists[sample % lists.len()];
        let number = if pattern.is_empty() {
            let (number, lengths) = card(draw, 0);
            draw::grouped(&number, lengths, " ")
        } else {
            draw.string(pattern)
        };
        Case::find(kind, around, &number)
    });
    groups
}

/// Values whose digits or letters are spelled with other characters.
pub(crate) fn disguised(samples: usize) -> Vec<Group> {
    let zeros: [u32; 12] = [
        0x0660, 0x06F0, 0x07C0, 0x0966, 0x09E6, 0x0BE6, 0x0E50, 0x0ED0, 0x17E0, 0x1810, 0xFF10, 0x1D7CE,
    ];
    let mut digits = Group::new("digits of other scripts");
    let mut wide = Group::new("full-width characters");
    let mut hidden = Group::new("characters without width between");
    let mut alike = Group::new("one look-alike letter");
    let mut alike_two = Group::new("two look-alike letters in a row");
    let draw = &mut Draw::new("disguised");
    let values = |draw: &mut Draw, sample: usize| -> (PiiType, &'static str, String) {
        match sample % 6 {
            0 => {
                let (number, lengths) = card(draw, sample / 6 % 3);
                (
                    PiiType::CreditCard,
                    "card §, ok",
                    draw::grouped(&number, lengths, " "),
                )
            }
            1 => (
                PiiType::Ssn,
                "my ssn is §.",
                draw::grouped(&ssn(draw), &[3, 2, 4], "-"),
            ),
            2 => (
                PiiType::Phone,
                "call me: §!",
                draw.string("[2-9][02-8][0-9]-[2-9][02-9][0-9]-[0-9]{4}"),
            ),
            3 => (
                PiiType::IpAddress,
                "from § now",
                draw.string("(8[1-9]|9[1-9])\\.1[0-9]{2}\\.[1-9][0-9]\\.1[0-9]{2}"),
            ),
            4 => (
                PiiType::DateOfBirth,
                "born § in",
                draw.string("19[4-9][0-9]-0[1-9]-1[0-9]"),
            ),
            _ => (
                PiiType::Iban,
                "IBAN § is",
                draw::iban("DE", &draw.string("[0-9]{18}")),
            ),
        }
    };
    for sample in 0..samples * 10 {
        let (kind, around, value) = values(draw, sample);
        let zero = zeros[sample / 6 % zeros.len()];
        let spelled: String = value
            .chars()
            .map(|c| {
                c.to_digit(10)
                    .and_then(|digit| char::from_u32(zero + digit))
                    .unwrap_or(c)
            })
            .collect();
        digits.push(Case::find(kind, around, &spelled));
        let full = |c: char| char::from_u32(u32::from(c) - u32::from('!') + 0xFF01).unwrap();
        let (kind, around, value) = if sample % 2 == 0 {
            (
                PiiType::Email,
                "to § now",
                draw.string("[a-z]{4,8}@[a-z]{4,8}\\.com"),
            )
        } else {
            values(draw, sample)
        };
        let some = sample % 4 < 2;
        let spelled: String = value
            .chars()
            .map(|c| {
                if c.is_ascii_digit() || c.is_ascii_alphabetic() && some || c == '@' {
                    full(c)
                } else {
                    c
                }
            })
            .collect();
        wide.push(Case::find(kind, around, &spelled));
        let invisible = [
            '\u{200b}', '\u{200c}', '\u{200d}', '\u{2060}', '\u{feff}', '\u{ad}',
        ];
        let (kind, around, value) = if sample % 2 == 0 {
            (
                PiiType::Email,
                "to § now",
                draw.string("[a-z]{4,8}@[a-z]{4,8}\\.com"),
            )
        } else {
            values(draw, sample)
        };
        let mut spelled = String::new();
        for (place, c) in value.chars().enumerate() {
            if place > 0 && (place % (2 + sample % 3) == 0) {
                spelled.push(invisible[sample % invisible.len()]);
            }
            spelled.push(c);
        }
        hidden.push(Case::find(kind, around, &spelled));
        // Cyrillic and Greek letters that look like Latin ones.
        let looks = |c: char| match c {
            'a' => 'а',
            'c' => 'с',
            'e' => 'е',
            'o' => 'о',
            'p' => 'р',
            'x' => 'х',
            'A' => 'Α',
            'B' => 'В',
            'E' => 'Е',
            'K' => 'Κ',
            'T' => 'Т',
            c => c,
        };
        let (kind, around, pattern) = match sample % 2 {
            0 => (
                PiiType::Email,
                "to § now",
                "[b-mq-z]{2}[aceopx]{2}[b-mq-z]{2}@[a-z]{4,8}\\.com",
            ),
            _ => (PiiType::ApiKey, "§", "A[KS]IA[A-Z2-7]{16}"),
        };
        let value = draw.string(pattern);
        let places: [usize; 2] = if kind == PiiType::Email { [2, 3] } else { [0, 1] };
        let spell = |places: &[usize]| -> String {
            value
                .chars()
                .enumerate()
                .map(|(place, c)| if places.contains(&place) { looks(c) } else { c })
                .collect()
        };
        alike.push(Case::find(kind, around, &spell(&places[..1])));
        let places: [usize; 2] = if kind == PiiType::Email { places } else { [2, 3] };
        let two: String = if kind == PiiType::Email {
            spell(&places)
        } else {
            // `IA`: the Latin I is Cyrillic, too.
            value
                .chars()
                .enumerate()
                .map(|(place, c)| match (place, c) {
                    (2, 'I') => 'І',
                    (3, 'A') => 'А',
                    _ => c,
                })
                .collect()
        };
        alike_two.push(Case::find(kind, around, &two));
    }
    vec![digits, wide, hidden, alike, alike_two]
}
