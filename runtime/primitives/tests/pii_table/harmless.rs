//! What only looks like personal data or a secret: kinds of numbers, identifiers and placeholders that texts, programs and
//! logs are full of.

use super::draw::Draw;
use super::table::{Case, Group};

/// Kind and patterns of texts in which nothing is to be found.
const KINDS: &[(&str, &[&str])] = &[
    // Documents and trade.
    (
        "invoice number",
        &[
            "Invoice \\(No\\. \\|#\\|number: \\)[0-9]{8}",
            "Rechnung Nr\\. [0-9]{10}",
            "Faktura FV [0-9]{4}/0[1-9]/2026",
            "facture n° [0-9]{8}",
        ],
    ),
    (
        "invoice with dashes",
        &[
            "INV-20[12][0-9]-[0-9]{6}",
            "invoice 20[12][0-9]-[0-9]{3}-[0-9]{4}",
        ],
    ),
    (
        "purchase order",
        &["PO [0-9]{10}", "purchase order 45[0-9]{8} was sent"],
    ),
    (
        "order id",
        &[
            "Order #1[0-9]{2}-[0-9]{7}-[0-9]{7}",
            "order [0-9]{10} has shipped",
            "pedido [0-9]{9}",
            "Bestellung [0-9]{10}",
        ],
    ),
    (
        "ticket and case numbers",
        &[
            "Ticket #[0-9]{7}",
            "case [0-9]{8} is closed",
            "Case No\\. 1:2[0-9]-cv-0[0-9]{4}",
            "JIRA-[0-9]{5}",
        ],
    ),
    (
        "NDC",
        &[
            "NDC [0-9]{5}-[0-9]{4}-[0-9]{2}",
            "Metformin \\(NDC-[0-9]{4}-[0-9]{4}-[0-9]{2}\\) twice daily",
        ],
    ),
    (
        "EIN",
        &["EIN: [1-9][0-9]-[0-9]{7}", "employer EIN [1-9][0-9]-[0-9]{7}"],
    ),
    (
        "VAT id",
        &["VAT DE[0-9]{9}", "VAT no\\. GB[0-9]{9}", "USt-IdNr\\. DE[0-9]{9}"],
    ),
    (
        "ISBN",
        &[
            "ISBN 978-[0-9]-[0-9]{4}-[0-9]{4}-[0-9]",
            "ISBN 978[0-9]{10}",
            "ISBN-10: [0-9]{9}X",
        ],
    ),
    ("ISSN", &["ISSN [0-9]{4}-[0-9]{3}X", "ISSN: [0-9]{4}-[0-9]{4}"]),
    (
        "DOI",
        &[
            "doi:10\\.[0-9]{4}/[a-z]{5}\\.20[0-9]{2}\\.[0-9]{6}",
            "https://doi\\.org/10\\.1[0-9]{3}/s[0-9]{5}-0[0-9]{2}-[0-9]{5}-[0-9]",
        ],
    ),
    (
        "arXiv, PubMed, trials",
        &["arXiv:2[0-4]0[1-9]\\.[0-9]{5}", "PMID: [0-9]{8}", "NCT0[0-9]{7}"],
    ),
    (
        "journal citation",
        &[
            "[A-Z][a-z]{5} et al\\., Nature [3-6][0-9]{2}, [1-4][0-9]{2}–[5-9][0-9]{2} \\(20[01][0-9]\\)",
            "Cell 1[0-9]{2}, 10[0-9]{2}–11[0-9]{2} \\(2018\\)",
            "[A-Z][a-z]{4}, [A-Z]\\. Science 3[0-9]{2}\\([0-9]{4}\\): [0-9]{3}-[0-9]{3}",
        ],
    ),
    (
        "physics citation",
        &[
            "Phys\\. Rev\\. Lett\\. 1[0-9]{2}, [0-9]{6} \\(20[01][0-9]\\)",
            "vol\\. [1-9][0-9], no\\. [1-9], pp\\. 1[0-9]{3}-1[0-9]{3}, 20[01][0-9]",
        ],
    ),
    (
        "legal citation",
        &[
            "[1-5][0-9]{2} U\\.S\\. [1-9][0-9]{2} \\(19[0-9]{2}\\)",
            "42 U\\.S\\.C\\. § 19[0-9]{2}",
            "[1-9][0-9]{2} F\\.3d 1[0-9]{3} \\(9th Cir\\. 200[0-9]\\)",
        ],
    ),
    (
        "standard",
        &[
            "RFC [1-9][0-9]{3}",
            "RFC-[1-9][0-9]{3}-[0-9]{4}",
            "ISO/IEC 27001:20[12][0-9]",
            "ISO-8601-20[12][0-9]",
            "DIN EN [0-9]{5}-[1-9]",
        ],
    ),
    (
        "CVE, CWE",
        &[
            "CVE-20[12][0-9]-[0-9]{4,5}",
            "overflow the call stack \\(CVE-2026-[0-9]{4}\\)",
            "CWE-[0-9]{3}",
        ],
    ),
    (
        "patent",
        &[
            "US Patent [0-9],[0-9]{3},[0-9]{3}",
            "patent EP [0-9]{7} B1",
            "patent application US 20[12][0-9]/0[0-9]{6}",
        ],
    ),
    (
        "part number",
        &[
            "Part no\\. [0-9]{3}-[0-9]{2}-[0-9]{4}",
            "P/N: part [0-9]{3}-[0-9]{3}-[0-9]{4}",
            "part number [0-9]{10}",
        ],
    ),
    (
        "serial number",
        &[
            "serial [0-9]{3}-[0-9]{2}-[0-9]{4}",
            "Serial number: [0-9]{10}",
            "serial no\\. [A-Z]{2}[0-9]{9}",
        ],
    ),
    (
        "model",
        &[
            "model [2-9][0-9]{2}-[2-9][0-9]{2}-[0-9]{4}",
            "Galaxy SM-S91[0-9]B/DS",
            "Core i7-12[0-9]{3}K",
        ],
    ),
    (
        "SKU, ASIN",
        &[
            "SKU [0-9]{8}",
            "SKU: [A-Z]{3}-[0-9]{5}-[A-Z]{2}",
            "ASIN B0[0-9A-Z]{8}",
        ],
    ),
    (
        "barcode",
        &["EAN 400[0-9]{10}", "UPC 0[0-9]{11}", "GTIN: 0[0-9]{13}"],
    ),
    (
        "customs code",
        &[
            "HS code 8471\\.30\\.0[0-9]{3}",
            "HTS 85[0-9]{2}\\.[0-9]{2}\\.[0-9]{4}",
        ],
    ),
    (
        "parcel",
        &[
            "1Z[0-9A-Z]{16}",
            "Tracking number: [0-9]{4} [0-9]{4} [0-9]{4}",
            "tracking no\\. 94[0-9]{20}",
            "JJD[0-9]{16}",
        ],
    ),
    (
        "flight, booking",
        &[
            "flight LH [0-9]{4}",
            "booking reference [A-Z]{2}[0-9][A-Z]{2}[0-9]",
            "gate B[0-9]{2} at 1[0-9]:[0-5][0-9]",
        ],
    ),
    ("VIN", &["VIN [A-HJ-NPR-Z]{3}[A-HJ-NPR-Z0-9]{8}[0-9]{6}"]),
    ("IMEI", &["IMEI: 35[0-9]{13}"]),
    (
        "price",
        &[
            "\\$[1-9],[0-9]{3},[0-9]{3}\\.[0-9]{2}",
            "€ [1-9]\\.[0-9]{3}\\.[0-9]{3},[0-9]{2}",
            "USD [0-9]{7}",
            "price: [0-9]{5}\\.[0-9]{2} EUR",
        ],
    ),
    (
        "amount with spaces",
        &[
            "[1-9] [0-9]{3} [0-9]{3},[0-9]{2} €",
            "total [1-9][0-9] [0-9]{3} [0-9]{3} kr",
            "[1-9][0-9]{2} [0-9]{3} [0-9]{3} inhabitants",
        ],
    ),
    (
        "population",
        &[
            "population of [1-9],[0-9]{3},[0-9]{3}",
            "population [1-9][0-9]{7}",
        ],
    ),
    (
        "ZIP code",
        &[
            "Chicago, IL 606[0-9]{2}",
            "[1-9][0-9]{4} Berlin",
            "postcode [0-9]{5}-[0-9]{4}",
        ],
    ),
    (
        "chemical number",
        &[
            "CAS [1-9][0-9]{3,5}-[0-9]{2}-[0-9]",
            "CAS number 7[0-9]{3}-[0-9]{2}-[0-9]",
        ],
    ),
    (
        "gene position",
        &[
            "chr7:140[0-9]{6}-140[0-9]{6}",
            "NM_0[0-9]{5}\\.[1-9]",
            "rs[0-9]{8}",
        ],
    ),
    (
        "dose",
        &[
            "take [1-9]00 mg every 1[02] h",
            "0\\.[0-9]{2}-[1-9]\\.[0-9] mg/dl",
            "120/80 mmHg",
        ],
    ),
    // Dates, times, places.
    (
        "date without a birth",
        &[
            "on 20[12][0-9]-0[1-9]-[12][0-9] we met",
            "due 0[1-9]/[12][0-9]/20[12][0-9]",
            "am [12][0-9]\\.0[1-9]\\.20[12][0-9] um 10:00",
        ],
    ),
    (
        "compact date",
        &[
            "changes of 20[12][0-9]0[1-9][12][0-9]",
            "backup-20[12][0-9]0[1-9][12][0-9]\\.tar",
            "release 20[12][0-9]0[1-9][12][0-9]",
        ],
    ),
    (
        "range of years",
        &[
            "19[0-9]{2}-20[0-2][0-9]",
            "from 19[0-9]{2} to 20[0-2][0-9]",
            "Contact, Inc\\.\n 200[0-9]-201[0-9] Ann",
            "the 20[0-2][0-9]/[0-2][0-9] season",
        ],
    ),
    (
        "ISO timestamp",
        &[
            "20[12][0-9]-0[1-9]-[12][0-9]T1[0-9]:[0-5][0-9]:[0-5][0-9]\\.[0-9]{6}Z",
            "\"created_at\": \"20[12][0-9]-0[1-9]-[12][0-9] 1[0-9]:[0-5][0-9]:[0-5][0-9]+00:00\"",
        ],
    ),
    (
        "Unix time",
        &[
            "ts=1[67][0-9]{8}",
            "\"timestamp\": 1[67][0-9]{11}",
            "expires 1[67][0-9]{8}",
            "iat: 1[67][0-9]{8}",
        ],
    ),
    (
        "log time",
        &[
            "\\[[12][0-9]/Mar/20[12][0-9]:1[0-9]:[0-5][0-9]:[0-5][0-9] +0000\\]",
            "1[0-9]:[0-5][0-9]:[0-5][0-9],[0-9]{3} INFO",
            "Mar [12][0-9] 1[0-9]:[0-5][0-9]:[0-5][0-9] host sshd: ok",
        ],
    ),
    (
        "opening hours",
        &["Mon-Fri 09:[0-5]0-1[0-9]:30", "open 8-1[0-9] and 14-18"],
    ),
    (
        "coordinates",
        &[
            "[1-8][0-9]\\.[0-9]{6}, -7[0-9]\\.[0-9]{6}",
            "lat=4[0-9]\\.[0-9]{7}&lon=-7[0-9]\\.[0-9]{7}",
            "BR\t-0[1-9][0-5][0-9]-0[1-6][0-5][0-9][0-5]\tAmerica/Bahia",
            "294\\.7[0-9]{3} 355\\.0[0-9]{3}\n294\\.[0-9]{4} 355\\.[0-9]{4} c",
            "4[0-9]°[0-5][0-9]'[0-5][0-9]\" N 7[0-9]°[0-5][0-9]'[0-5][0-9]\" W",
        ],
    ),
    (
        "signed year",
        &[
            "datetime!\\(+[1-9][0-9]{5}-12-31 23:59:59\\)",
            "+0020[0-9]{2}-0[1-9]-1[0-9]",
        ],
    ),
    (
        "room, floor, gate",
        &[
            "Room 4[0-9]{3}",
            "Building [1-9][0-9], floor [1-9]",
            "seat [1-9][0-9][A-F]",
        ],
    ),
    (
        "number and name",
        &[
            "[1-9][0-9] Monkeys and a dog",
            "Copyright 20[012][0-9] Iain Lane",
            "Copyright \\(c\\) 2015, 20[12][0-9] Iain Lane",
            "in 1[0-9] seconds, place Anna",
            "the [1-9][0-9] best movies",
        ],
    ),
    // Versions.
    (
        "version",
        &[
            "version [1-9]\\.[1-9][0-9]\\.[0-9]{1,2}",
            "v[1-9]\\.[0-9]{1,2}\\.[0-9]{1,2}-rc\\.[1-9]",
            "upgraded to [1-9][0-9]\\.[0-9]\\.[0-9]",
        ],
    ),
    (
        "version of four parts",
        &[
            "\\[assembly: AssemblyVersion\\(\"[1-9][0-9]\\.[0-9]{2}\\.[0-9]{2}\\.[0-9]\"\\)\\]",
            "version 1[0-9]{2}\\.0\\.[1-9][0-9]\\.1[0-9]{2}",
            "firmware [1-9]\\.[1-9][0-9]\\.[0-9]\\.1[0-9]{2}",
            "Chrome/1[0-9]{2}\\.0\\.[1-9][0-9]{3}\\.[1-9][0-9]",
        ],
    ),
    (
        "package version",
        &[
            "pam \\(0\\.[1-9][0-9]\\.[0-9]\\.[1-9]-[0-9]\\) unstable",
            "libssl1\\.1 1\\.1\\.1[a-z]-[0-9]+deb11u[0-9]",
            "numpy==1\\.2[0-9]\\.[0-9]\\.post[1-9]",
        ],
    ),
    (
        "kernel version",
        &[
            "Linux 5\\.1[0-9]\\.0-[0-9]{2,3}-generic",
            "kernel 6\\.[1-9]\\.[0-9]{2}-200\\.fc39",
        ],
    ),
    (
        "package",
        &[
            "@types/node@18\\.1[0-9]\\.[0-9]",
            "com\\.fasterxml\\.jackson:jackson-core:2\\.1[0-9]\\.[0-9]",
            "actions/checkout@v[1-4]",
            "lodash@4\\.17\\.2[0-9]",
        ],
    ),
    (
        "OID, section",
        &[
            "1\\.3\\.6\\.1\\.4\\.1\\.[0-9]{3}\\.[0-9]",
            "Section [1-9]\\.[1-9]\\.[1-9]\\.[1-9]",
            "see section [1-9]\\.[1-9][0-9]\\.[1-9]\\.[1-9][0-9]",
        ],
    ),
    (
        "resolution, size",
        &[
            "1920x10[0-9]{2}",
            "[1-9][0-9]{8} bytes",
            "[1-9][0-9]{2}x[1-9][0-9]{2}x[1-9][0-9] cm",
        ],
    ),
    // Networks.
    (
        "loopback",
        &[
            "127\\.0\\.[0-9]\\.[1-9]",
            "listen on 127\\.0\\.0\\.1:80[0-9]{2}",
            "server 127\\.0\\.0\\.[1-9]",
            "::1",
            "\\[::1\\]:80[0-9]{2}",
        ],
    ),
    (
        "link-local, multicast, broadcast",
        &[
            "169\\.254\\.[0-9]{1,2}\\.[0-9]{1,2}",
            "22[4-9]\\.0\\.0\\.[1-9]",
            "239\\.255\\.255\\.25[0-5]",
            "255\\.255\\.255\\.255",
            "0\\.0\\.0\\.0:80[0-9]{2}",
        ],
    ),
    (
        "private network",
        &[
            "10\\.[0-9]{1,2}\\.0\\.0/16",
            "subnet 192\\.168\\.[0-9]\\.0/24",
            "172\\.1[6-9]\\.0\\.0/12",
            "the network 10\\.0\\.0\\.0/8",
            "\"SERVER\": \"192\\.168\\.0\\.1[0-9]{2}:123\"",
        ],
    ),
    (
        "netmask",
        &[
            "netmask 255\\.255\\.2(55|54|52|48)\\.0",
            "255\\.255\\.255\\.(0|128|192|224|240)",
        ],
    ),
    (
        "path of modules",
        &[
            "std::collections::[A-Z][a-z]{5}Map",
            "crate::a[0-9]::b[0-9]::c",
            "ActiveRecord::Base",
            "abc::def::[a-f]{3}",
        ],
    ),
    (
        "port, process",
        &[
            "pid [0-9]{5}",
            "port 80[0-9]{2}",
            "thread 1407[0-9]{11}",
            "exit code -10[0-9]{8}",
        ],
    ),
    // Names that look like addresses.
    (
        "Git remote, SSH",
        &[
            "git@github\\.com:[a-z]{5}/[a-z]{6}\\.git",
            "ssh [a-z]{4}@[a-z]{4}\\.example\\.com",
            "scp x [a-z]{4}@[a-z]{4}\\.example\\.org:/tmp",
        ],
    ),
    (
        "decorator, handle",
        &[
            "@app\\.route\\(\"/[a-z]{5}\"\\)",
            "thanks @[a-z]{6}_[0-9]{2}",
            "@pytest\\.mark\\.[a-z]{5}",
            "@[a-z]{6}\\.setter",
        ],
    ),
    (
        "file with @",
        &[
            "logo@[23]x\\.png",
            "icon-[0-9]{2}@2x\\.webp",
            "user@service\\.service",
            "getty@tty[1-6]\\.service",
        ],
    ),
    // Hashes and identifiers.
    (
        "commit",
        &[
            "commit [0-9a-f]{40}",
            "fixed in [0-9a-f]{7}",
            "index [0-9a-f]{7}\\.\\.[0-9a-f]{7} 100644",
            "[0-9a-f]{40} refs/heads/main",
        ],
    ),
    (
        "digest",
        &[
            "sha256:[0-9a-f]{64}",
            "md5sum: [0-9a-f]{32}",
            "checksum = \"[0-9a-f]{64}\"",
            "\"integrity\": \"sha512-[0-9A-Za-z+/]{86}==\"",
            "image@sha256:[0-9a-f]{64}",
        ],
    ),
    (
        "ETag",
        &[
            "ETag: \"[0-9a-f]{32}\"",
            "etag: W/\"[0-9a-f]{8}-[0-9a-f]{4}\"",
            "If-None-Match: \"[0-9a-f]{40}\"",
        ],
    ),
    (
        "UUID",
        &[
            "[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
            "id: [0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
            "\\{[0-9A-F]{8}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{4}-[0-9A-F]{12}\\}",
        ],
    ),
    (
        "UUID of digits",
        &["[0-9]{8}-[0-9]{4}-4[0-9]{3}-8[0-9]{3}-[0-9]{12}"],
    ),
    (
        "request, trace",
        &[
            "x-request-id: [0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
            "traceparent: 00-[0-9a-f]{32}-[0-9a-f]{16}-01",
            "X-Amzn-Trace-Id: Root=1-[0-9a-f]{8}-[0-9a-f]{24}",
            "trace_id=[0-9a-f]{32}",
        ],
    ),
    (
        "ULID, object id",
        &[
            "01[0-9A-HJKMNP-TV-Z]{24}",
            "ObjectId\\(\"[0-9a-f]{24}\"\\)",
            "\"_id\": \"[0-9a-f]{24}\"",
        ],
    ),
    (
        "cloud resource",
        &[
            "arn:aws:iam::[1-9][0-9]{11}:role/x",
            "i-0[0-9a-f]{16}",
            "vpc-0[0-9a-f]{16}",
            "subscriptions/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
            "projects/[1-9][0-9]{11}/locations",
        ],
    ),
    (
        "pod, chunk, class",
        &[
            "api-7d4b9c[0-9a-f]{4}-x2[a-z]x9",
            "main\\.[0-9a-f]{8}\\.chunk\\.js",
            "css-1[a-z0-9]{6}",
            "sc-[a-z]{5}-[0-9]",
        ],
    ),
    (
        "transaction, block",
        &["0x[0-9a-f]{64}", "tx 0x[0-9a-f]{64} confirmed", "0x0{39}1"],
    ),
    (
        "link with a number",
        &[
            "https://example\\.com/articles/20[12][0-9]0[1-9][0-9]{6}",
            "https://x\\.com/a/status/1[0-9]{18}",
            "https://youtu\\.be/[0-9A-Za-z]{11}",
            "https://stackoverflow\\.com/questions/[0-9]{8}/how-to",
        ],
    ),
    (
        "post in a forum",
        &[
            "#[0-9]{5,7}",
            "PR #[0-9]{5}",
            "GH-[0-9]{5}",
            "closes #[0-9]{4}, #[0-9]{4}",
        ],
    ),
    (
        "user, row, account id",
        &[
            "user_id=[0-9]{9}",
            "\"id\": [1-9][0-9]{9}",
            "account id [1-9][0-9]{9}",
            "customer [0-9]{8}",
            "WHERE id = [1-9][0-9]{8}",
        ],
    ),
    (
        "file name",
        &[
            "IMG_20[12][0-9]0[1-9][12][0-9]_1[0-9]{5}\\.jpg",
            "report-20[12][0-9]-0[1-9]-[12][0-9]-v[1-9]\\.pdf",
            "DSC0[0-9]{4}\\.ARW",
        ],
    ),
    // Numbers in programs and tables.
    (
        "hexadecimal constant",
        &[
            "0x[0-9A-F]{16}",
            "0x[0-9a-f]{8}",
            "HRESULT 0x8007[0-9A-F]{4}",
            "at 0x7f[0-9a-f]{10}",
        ],
    ),
    (
        "hex dump",
        &[
            "0000[0-9]0: [0-9a-f]{4} [0-9a-f]{4} [0-9a-f]{4} [0-9a-f]{4}",
            "[0-9]{2} [0-9a-f]{2} [0-9]{2} [0-9]{2} [0-9]{2} [a-f][0-9] [0-9]{2} [0-9]{2}",
            "\\\\x[0-9a-f]{2}\\\\x[0-9a-f]{2}\\\\x[0-9a-f]{2}",
        ],
    ),
    (
        "colour",
        &[
            "#[0-9a-f]{6}",
            "rgba\\([1-9][0-9], 1[0-9]{2}, [1-9][0-9], 0\\.5\\)",
            "color: #[0-9A-F]{8};",
        ],
    ),
    (
        "arithmetic",
        &[
            "[0-9]{3} + [0-9]{3} = [0-9]{3}",
            "[0-9]{4} * [0-9]{4} - [0-9]{3}",
            "\\(1[0-9] + 2[0-9]\\) / [0-9]",
            "2^[1-9][0-9] = [0-9]{9}",
        ],
    ),
    (
        "decimals",
        &[
            "3\\.14159265[0-9]{6}",
            "\\[0\\.[0-9]{8}, -0\\.[0-9]{8}, 0\\.[0-9]{8}\\]",
            "[0-9]\\.[0-9]{15}e-[0-9]{2}",
            "loss=0\\.[0-9]{4} acc=0\\.[0-9]{4}",
        ],
    ),
    (
        "row of four digits",
        &[
            "[1-9][0-9]{3} [1-9][0-9]{3} [1-9][0-9]{3} [1-9][0-9]{3} [1-9][0-9]{3} [1-9][0-9]{3} [1-9][0-9]{3} [1-9][0-9]{3} [1-9][0-9]{3} [1-9][0-9]{3} [1-9][0-9]{3} [1-9][0-9]{3}",
        ],
    ),
    (
        "list of numbers",
        &[
            "[0-9]{3}, [0-9]{3}, [0-9]{4}, [0-9]{3}",
            "[1-9][0-9]{2} [1-9][0-9]{2} [1-9][0-9]{3} [1-9][0-9]{2} [1-9][0-9]{2} [1-9][0-9]{3}",
            "0[1-9] 0[1-9] 1[0-9] 2[0-9] 3[0-9] 4[0-9] 5[0-9]",
            "4 8 15 16 2[0-9] 42",
        ],
    ),
    (
        "table of numbers",
        &[
            "id,count,size\n[2-9][0-9]{9},[2-9][0-9]{8},[2-9][0-9]{9}\n[2-9][0-9]{9},[2-9][0-9]{8},[2-9][0-9]{9}\n",
            "\\| n \\| t \\|\n\\|---\\|---\\|\n\\| [1-9][0-9]{8} \\| [1-9][0-9]{9} \\|\n",
            "x\ty\n[0-9]{3}\\.[0-9]{4}\t[0-9]{3}\\.[0-9]{4}\n",
        ],
    ),
    (
        "matrix, shape",
        &[
            "\\[\\[[0-9]\\.0, [0-9]\\.5\\], \\[[0-9]\\.25, [0-9]\\.0\\]\\]",
            "shape=\\([0-9]{2}, 128, 7[0-9]{2}\\)",
            "torch\\.Size\\(\\[1, [0-9]{3}, 4096\\]\\)",
        ],
    ),
    (
        "score, ratio",
        &[
            "[0-9]-[0-9], [0-9]-[0-9]",
            "16:9 and 4:[0-9]",
            "[1-9][0-9]\\.[0-9]{2}% of [0-9]{5}",
            "1\\. e4 e5 2\\. Nf3 Nc[36]",
        ],
    ),
    (
        "counter that goes up",
        &["1-2-3-4-5-6-[7-9]", "01 02 03 04 05 06", "10-20-30-40-[5-9]0"],
    ),
    (
        "place in a file",
        &[
            "src/main\\.rs:[1-9][0-9]{2}:[1-9][0-9]",
            "@@ -1[0-9]{2},[0-9] +1[0-9]{2},[0-9] @@",
            "line [0-9]{4}, column [0-9]{2}",
        ],
    ),
    (
        "pattern, format",
        &[
            "\\\\d\\{3\\}-\\\\d\\{2\\}-\\\\d\\{4\\}",
            "XXX-XX-[X]{4}",
            "format ###-##-####",
            "YYYY-MM-DD [0-9]",
            "\\(\\[0-9\\]\\{3\\}\\) \\[0-9\\]\\{3\\}",
        ],
    ),
    (
        "schedule",
        &[
            "\\*/5 \\* \\* \\* \\*",
            "0 [0-9] 1,15 \\* [1-5]",
            "cron\\(0 1[0-9] \\* \\* ? \\*\\)",
        ],
    ),
    (
        "statement with a number",
        &[
            "sleep [0-9]{6}",
            "LIMIT 100 OFFSET [0-9]{6}",
            "seed=[0-9]{8}",
            "random_state=[0-9]{4}",
            "maxAge: [0-9]{8}",
        ],
    ),
    // `call` and `cell` where programs and tables are meant.
    (
        "`call` in prose about code",
        &[
            "amend incorrect calls for memory-leaks from 20[12][0-9]0[1-9][12][0-9] changes",
            "the call to malloc took [0-9]{6} cycles",
            "[0-9]{5} function calls \\([0-9]{5} primitive calls\\)",
            "call 0x[0-9a-f]{8} <main+0x1[0-9]>",
            "each call costs 0\\.[0-9]{6}",
            "pub const VHOST_SET_VRING_CALL: u32 = 2[0-9]{9};",
        ],
    ),
    (
        "`cell` of a table",
        &[
            "cell B[0-9]{2} holds [0-9]{5}",
            "cells A1:D[0-9]{3}",
            "cell \\[[0-9]{2}\\]",
            "1[0-9],[0-9]{3} cells per mm",
        ],
    ),
    (
        "`mobile`, `phone` and no number",
        &[
            "mobile version 1[0-9]\\.[0-9]\\.[0-9]",
            "iPhone 1[1-5] with iOS 1[0-9]\\.[0-9]",
            "the phone costs 1[0-9]{3} USD",
            "mobile traffic grew [0-9]{2}% in 20[0-2][0-9]",
            "phone: null, age: [1-9][0-9]",
        ],
    ),
    (
        "`contact`, `reach`, `desk`",
        &[
            "reach [0-9]{3},[0-9]{3} users",
            "contact us before 20[12][0-9]-0[1-9]-1[0-9]",
            "reached [0-9]{6}000 views",
            "desk 1[0-9]{2}, [0-9]{2} cm",
        ],
    ),
    (
        "`card`, `account` and no number",
        &[
            "card [1-9] of [1-9][0-9]",
            "graphics card RTX [3-4]0[0-9]0",
            "credit card limit \\$[1-9][0-9],000",
            "card game with 52 cards",
        ],
    ),
    // What names secrets and is none.
    (
        "page token",
        &[
            "nextPageToken: \"[0-9A-Za-z_-]{40}\"",
            "\"next_page_token\": \"[0-9A-Za-z]{32}\"",
            "page_token=[0-9A-Za-z]{24}",
            "\"prevPageToken\":\"[0-9A-Z]{24}\"",
        ],
    ),
    (
        "continuation, cursor",
        &[
            "\"continuation_token\": \"[0-9A-Za-z]{32}\"",
            "cursor: [0-9A-Za-z]{32}",
            "sync_token=[0-9A-Za-z]{32}",
            "resumeToken: \"[0-9A-F]{48}\"",
            "\"continuationToken\": \"[0-9A-Za-z]{40}\"",
        ],
    ),
    (
        "primary, partition, sort key",
        &[
            "primaryKey: \"[0-9A-Za-z]{32}\"",
            "partition_key = \"[0-9A-Za-z]{24}\"",
            "sortKey: \"[0-9A-Za-z]{24}\"",
            "foreign_key: \"[0-9a-f]{32}\"",
            "primary_key=[0-9a-f]{32}",
        ],
    ),
    (
        "public key",
        &[
            "publicKey = \"[0-9A-Za-z]{43}\"",
            "public_key: \"[0-9a-f]{64}\"",
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAI[0-9A-Za-z+/]{43} a",
            "pubkey=[0-9A-Za-z]{44}",
        ],
    ),
    (
        "idempotency, cache key",
        &[
            "Idempotency-Key: [0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}",
            "cache_key: \"[0-9a-f]{32}\"",
            "cacheKey=[0-9A-Za-z]{24}",
            "object_key = \"[0-9a-f]{40}\"",
        ],
    ),
    (
        "key of a map",
        &[
            "key: \"home\\.title\\.text_[0-9]\"",
            "\"key\": \"value_[0-9]{3}\"",
            "for key1, value1 in d[0-9]\\.items\\(\\)",
            "translation_key = \"menu_item_[0-9]{2}\"",
            "hotkey: Ctrl+Shift+F1[0-2]",
        ],
    ),
    (
        "PEM header by name",
        &[
            "A PKCS#8 key starts with -----BEGIN PRIVATE KEY-----",
            "grep -r \"BEGIN RSA PRIVATE KEY\" [a-z]{5}",
            "-----BEGIN PRIVATE KEY----- is the first line, and the last one -----END PRIVATE KEY-----",
            "if line == \"-----BEGIN EC PRIVATE KEY-----\": [a-z]{4}\\(\\)",
        ],
    ),
    (
        "certificate",
        &[
            "-----BEGIN CERTIFICATE-----\n[0-9A-Za-z+/]{64}\n[0-9A-Za-z+/]{64}\n-----END CERTIFICATE-----",
            "-----BEGIN PUBLIC KEY-----\n[0-9A-Za-z+/]{64}\n-----END PUBLIC KEY-----",
        ],
    ),
    (
        "token of language models",
        &[
            "max_tokens: [0-9]{4}",
            "token_count = [0-9]{15}",
            "\"prompt_tokens\": [0-9]{5}",
            "token_id: 5[0-9]{4}",
            "eos_token = \"<\\|endoftext\\|>\"",
            "tokens_per_second=[0-9]{3}\\.[0-9]{2}",
        ],
    ),
    (
        "type of a password",
        &[
            "password: Option<String>,",
            "password: string;",
            "token: &'a str,",
            "api_key: Optional\\[str\\] = None",
            "std::string password_[0-9];",
            "private String password[0-9];",
            "secret: SecretString,",
            "password: argon2id",
            "password: sha512crypt",
            "password=base64[a-z]{4}",
        ],
    ),
    (
        "call that reads a secret",
        &[
            "let password = read_password_from_tty[0-9]\\(\\)?;",
            "token = tokenizer\\.encode_plus_[0-9]\\(text\\)",
            "password = getpass\\.getpass\\(\"Password: \"\\)",
            "secret = client\\.get_secret_value\\(\"x[0-9]\"\\)",
            "const token = await getAccessToken2[0-9]\\(\\);",
        ],
    ),
    (
        "variable that holds one",
        &[
            "api_key = os\\.environ\\[\"OPENAI_API_KEY_[0-9]\"\\]",
            "apiKey: process\\.env\\.API_KEY_[0-9]{2}",
            "token=\\$\\{TOKEN_[0-9]{4}\\}",
            "password: \\{\\{ vault_password_[0-9] \\}\\}",
            "Authorization: Bearer \\$ACCESS_TOKEN_[0-9]{2}",
            "token: \\$\\{\\{ secrets\\.GITHUB_TOKEN \\}\\}",
        ],
    ),
    (
        "placeholder",
        &[
            "api_key = \"your-api-key-here\"",
            "API_KEY=x{24}",
            "secret: changeme12345[0-9]",
            "token: <YOUR_TOKEN_[0-9]>",
            "sk-x{32}",
            "AKIAX{16}",
            "password=\\*{10}",
            "password: \"<password>\"",
            "ghp_x{36}",
            "TOKEN=\\.{12}",
            "API_KEY=your_api_key_[0-9]{2}_here",
            "apiKey: \"REPLACE_ME_[0-9]{4}\"",
        ],
    ),
    (
        "example password in words",
        &[
            "password must have 8 to [1-9][0-9] characters",
            "the password is not set",
            "password reset in 1[0-9] minutes",
            "forgot your password\\? Write to support",
            "password: required\\|min:[0-9]",
        ],
    ),
    (
        "name of a secret",
        &[
            "secretName: my-service-secret-v[0-9]-2024",
            "secretKeyRef:\n  name: app-secrets-prod-[0-9]\n  key: database-password-[0-9]",
            "key_id: my-signing-key-[0-9]",
            "tokenUrl: https://login\\.example\\.com/oauth2/v2\\.[0-9]/token",
            "token_type=bearer&expires_in=[0-9]{4}",
            "credentials: 'same-origin'",
            "token_endpoint_auth_method: client_secret_basic",
        ],
    ),
    (
        "identifier in a program",
        &[
            "keyDetails === protobuf_specs_[0-9]\\.PublicKeyDetails\\.PKCS1_RSA_PKCS1V[0-9]",
            "use crate::auth::TokenProviderV[0-9]Implementation;",
            "class=\"sk-loading-spinner-[0-9]{2}\"",
            "sk-estimator-id-[0-9]{2}",
            "test_token_refresh_[0-9]{2}",
            "pa-internationalization-[0-9]{2}",
        ],
    ),
    (
        "keyboard, monkey, author",
        &[
            "keyboard = \"logitech-mx-keys-20[0-2][0-9]-edition\"",
            "author: \"jane20[0-9]{2}doe19[0-9]{2}smith77x\"",
            "monkey: [0-9]{9}",
            "turkey_2_[0-9]{8}",
            "passenger: [0-9]{8}",
            "compass: 1[0-9]{7}",
        ],
    ),
    (
        "hash of a password",
        &[
            "password_hash = hashlib\\.sha256\\(password\\.encode\\(\\)\\).hexdigest\\(\\)",
            "hashed_password: str",
            "passwordHash\\.length > [0-9]{2}",
        ],
    ),
    (
        "base64 of an image",
        &[
            "data:image/png;base64,iVBORw0KGgo[0-9A-Za-z+/]{120}=",
            "src=\"data:font/woff2;base64,d09GMgAB[0-9A-Za-z+/]{80}\"",
        ],
    ),
    (
        "cookie banner, session count",
        &[
            "sessions: [0-9]{8}",
            "session_count=[0-9]{6}",
            "authors: [0-9]{8}",
            "authority = \"[0-9]{8}\"",
        ],
    ),
    (
        "URL with a port and a path",
        &[
            "http://localhost:80[0-9]{2}/users/1[0-9]{2}",
            "https://example\\.com:8443/@[a-z]{5}/[0-9]{4}",
            "postgres://localhost:5432/db_[0-9]{2}",
            "redis://cache:63[0-9]{2}/0",
            "http://user:\\$\\{PASSWORD\\}@host/[0-9]",
        ],
    ),
    (
        "two hours and a dash",
        &[
            "9:30-1[0-9]:00 Uhr",
            "12-1[0-9] p\\.m\\.",
            "pp\\. 12[0-9]-13[0-9]",
        ],
    ),
    (
        "phone-like number of a product",
        &[
            "LEGO [0-9]{5}-1",
            "Nike CT8[0-9]{3}-100",
            "ATmega[0-9]{3}-20PU",
            "HP 15-dy[0-9]{4}",
        ],
    ),
    (
        "mathematical sequence",
        &[
            "1, 1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 1[0-9]{2}",
            "2, 3, 5, 7, 11, 13, 17, 1[0-9], 23",
            "[0-9]{3}/[0-9]{3}/[0-9]{3}",
            "\\\\frac\\{[0-9]{3}\\}\\{[0-9]{4}\\}",
        ],
    ),
    (
        "bracketed number",
        &[
            "\\(see note [0-9]{2}\\)",
            "\\[1[0-9]\\] \\[2[0-9]\\]",
            "\\([0-9]{4}\\)",
            "\\(96\\) [0-9]{2}",
            "f\\([0-9]{3}\\) = [0-9]{5}",
        ],
    ),
    (
        "election, statistics",
        &[
            "[0-9]{2},[0-9]{3} votes \\([0-9]{2}\\.[0-9]%\\)",
            "n = [0-9]{4}, p < 0\\.00[0-9]",
            "mean 1[0-9]{2}\\.[0-9] ± [0-9]{2}\\.[0-9]",
            "95% CI [0-9]\\.[0-9]{2}-1[0-9]\\.[0-9]{2}",
        ],
    ),
    (
        "music, film",
        &[
            "BWV [0-9]{3,4}",
            "Op\\. [0-9]{2}, No\\. [1-9]",
            "S0[1-9]E[0-2][0-9] 1080p x26[45]",
            "120[0-9] bpm",
        ],
    ),
    (
        "unit",
        &[
            "1[0-9]{3} kWh",
            "[0-9]{4} mAh, [0-9]{2} W",
            "[1-9][0-9]{2}\\.[0-9]{3} km/h",
            "-[1-9][0-9]°C to [1-9][0-9]°C",
        ],
    ),
    (
        "licence name",
        &[
            "GPL-2\\.0-or-later",
            "Apache-2\\.0 \\(20[0-2][0-9]\\)",
            "BSD-[23]-Clause",
            "CC-BY-SA-[34]\\.0",
        ],
    ),
    (
        "JSON of numbers",
        &[
            "\\{\"a\": [0-9]{6}, \"b\": [0-9]{7}, \"c\": [0-9]{5}\\}",
            "\\[[1-9][0-9]{5}, [1-9][0-9]{6}, [1-9][0-9]{7}\\]",
            "\\{\"width\": [0-9]{4}, \"height\": [0-9]{4}\\}",
        ],
    ),
    (
        "SQL, spreadsheet",
        &[
            "SELECT \\* FROM t WHERE n BETWEEN [0-9]{6} AND [0-9]{7}",
            "=SUM\\(A1:A[0-9]{3}\\)",
            "VLOOKUP\\(B[0-9]{2};\\$A\\$1:\\$C\\$[0-9]{3};3;0\\)",
        ],
    ),
    (
        "assembly",
        &[
            "mov eax, 0x[0-9a-f]{8}",
            "jmp 0x40[0-9a-f]{4}",
            "  40[0-9a-f]{4}:\t[0-9a-f]{2} [0-9a-f]{2} [0-9a-f]{2}",
        ],
    ),
    (
        "header of HTTP",
        &[
            "Content-Length: [0-9]{7}",
            "Cache-Control: max-age=[0-9]{8}",
            "Retry-After: [0-9]{6}",
            "Range: bytes=[0-9]{6}-[0-9]{7}",
        ],
    ),
    (
        "count in another script",
        &[
            "這是一個，很長的句子。１２[０-９]",
            "هذا ١٢[٠-٩] فقط",
            "कुल [१-९][०-९]{2} लोग",
            "Привет, мир, 20[0-2][0-9] год",
        ],
    ),
    (
        "number in another language",
        &[
            "Bestellnummer [0-9]{8}",
            "commande n° [0-9]{9}",
            "número de pedido [0-9]{9}",
            "ordine n\\. [0-9]{8}",
            "номер заказа [0-9]{9}",
            "订单号[0-9]{12}",
            "注文番号[0-9]{12}",
            "주문번호 [0-9]{10}",
        ],
    ),
    (
        "emoji and number",
        &["👨‍👩‍👧 20[0-2][0-9]", "🇩🇪 [0-9]{4} 🇫🇷", "👍🏽 +[0-9]{3}"],
    ),
    (
        "HTML entity, escape",
        &[
            "&#[0-9]{4};",
            "\\\\u00[0-9a-f]{2}\\\\u00[0-9a-f]{2}",
            "%[2-7][0-9]%[2-7][0-9]%[2-7][0-9]",
        ],
    ),
    (
        "Docker, Compose",
        &[
            "repo/image:1\\.[0-9]{2}\\.[0-9]",
            "- \"80[0-9]{2}:80[0-9]{2}\"",
            "sha-[0-9a-f]{7}",
            "0\\.0\\.0\\.0:[0-9]{4}->80/tcp",
        ],
    ),
    (
        "minified name",
        &[
            "function a1b2c3[0-9]\\(e,t\\)\\{return e+t\\}",
            "_0x[0-9a-f]{6}=_0x[0-9a-f]{4}",
            "__webpack_require__\\([0-9]{5}\\)",
        ],
    ),
    (
        "long word",
        &[
            "[a]{60}",
            "internationalisierung[a-z]{20}",
            "loooo[o]{40}ng",
            "=[=]{40}",
        ],
    ),
    (
        "text of dashes and digits",
        &[
            "1-[1-9]-2-[1-9]-3-[1-9]",
            "--[-]{20}[0-9]",
            "[0-9]{2}--[0-9]{2}--[0-9]{4}",
        ],
    ),
    (
        "chat of a game",
        &[
            "/tp [0-9]{3} 64 -[0-9]{3}",
            "seed: -[0-9]{19}",
            "level [0-9]{2}, [0-9]{6} xp",
        ],
    ),
    (
        "loan, budget",
        &[
            "a loan of [0-9]{3} 000 EUR",
            "budget 20[2-3][0-9]: [1-9][0-9]{2}\\.[0-9]{3}\\.[0-9]{3}",
            "Q[1-4] 20[2-3][0-9] revenue \\$[0-9]{3}M",
        ],
    ),
    (
        "Unicode collation",
        &[
            "FF3B ; \\[*031[A-F]\\.0020\\.0002\\] # BRACKET",
            "\\[\\.1C[0-9][A-F]\\.0020\\.0002\\]",
            "U+00[0-9][A-F] U+03[0-9][0-9]",
            "004[1-9] 03[0-4][0-9] 03[0-4][0-9]",
            "<compat> 00[4-6][0-9] 00[4-6][0-9] 00[4-6][0-9]",
        ],
    ),
    (
        "names of a program that hold `Pw`, `Pass`, `Token`",
        &[
            "Iop_PwMax32Ux[0-9],\n  Iop_PwMin8Sx[0-9], Iop_PwMax16Sx[0-9],\n  Iop_PwMin16Sx[0-9], Iop_PwMin32Ux[0-9],",
            "Pass->printPipeline\\(OS, MapClassName[0-9]PassName\\)",
            "NSSCKMDToken->OpenSession[0-9]{2}",
            "template <typename PassT>\nclass ModuleToPostOrderPassAdaptor[0-9]",
            "FSDiscriminatorPass P = FSDiscriminatorPass::Pass[0-9]",
            "for \\(const key of \\['_auth', '_authToken', 'x[0-9]'\\]\\)",
            "assert type\\(token\\) is _TokenType, x[0-9]",
        ],
    ),
    (
        "checksums of files",
        &[
            "[0-9a-f]{32}  /etc/pam\\.d/common-auth\n[0-9a-f]{32}  /etc/pam\\.d/common-password\n[0-9a-f]{32}  x\n",
            "[0-9A-Za-z+/]{63}A\n[0-9A-Za-z+/]{64}\n[0-9A-Za-z+/]{20}=\n",
        ],
    ),
    (
        "telescope, star",
        &[
            "NGC [0-9]{4}",
            "HD [0-9]{6}",
            "RA 1[0-9]h [0-5][0-9]m [0-5][0-9]\\.[0-9]s",
        ],
    ),
    (
        "sensor row",
        &[
            "2[0-9]\\.[0-9]{2};5[0-9]\\.[0-9];10[0-9]{2}\\.[0-9]",
            "t=[0-9]{10} v=[0-9]\\.[0-9]{3}",
            "x: -[0-9]\\.[0-9]{4} y: [0-9]\\.[0-9]{4} z: 9\\.8[0-9]{3}",
        ],
    ),
];

/// How many kinds there are.
pub(crate) const fn kinds() -> usize {
    KINDS.len()
}

/// A group for each kind. The share that is right is the share in which nothing is found.
pub(crate) fn groups(samples: usize) -> Vec<Group> {
    KINDS
        .iter()
        .map(|(name, patterns)| {
            let draw = &mut Draw::new(name);
            let mut group = Group::new(name);
            for sample in 0..samples.max(24) {
                group.push(Case::nothing(draw.string(patterns[sample % patterns.len()])));
            }
            group
        })
        .collect()
}
