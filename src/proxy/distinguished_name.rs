//! Distinguished names as backends expect them: RFC 2253 text.

/// Attribute types with a short name, by the content of their DER object identifier.
const SHORT_NAMES: [(&[u8], &str); 10] = [
    (&[0x55, 4, 3], "CN"),
    (&[0x55, 4, 5], "serialNumber"),
    (&[0x55, 4, 6], "C"),
    (&[0x55, 4, 7], "L"),
    (&[0x55, 4, 8], "ST"),
    (&[0x55, 4, 10], "O"),
    (&[0x55, 4, 11], "OU"),
    (&[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 1], "emailAddress"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 25], "DC"),
    (&[0x09, 0x92, 0x26, 0x89, 0x93, 0xf2, 0x2c, 0x64, 1, 1], "UID"),
];

const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const OBJECT_IDENTIFIER: u8 = 0x06;
/// UTF8String, PrintableString, IA5String: a byte is a character, or a part of one in UTF-8.
const TEXTS: [u8; 3] = [0x0c, 0x13, 0x16];

/// The name in RFC 2253 form, last attribute first. `None` for what is no DER name, or holds a type without short name.
///
/// The text is visible ASCII and holds neither a quotation mark nor a lone backslash: both are written as hex pairs, so
/// that it cannot end a quoted string it is put into, whatever escapes the reader of that string knows.
pub fn rfc2253(name: &[u8]) -> Option<String> {
    let (SEQUENCE, mut rdns, []) = element(name)? else { return None };
    let mut texts = Vec::new();
    while !rdns.is_empty() {
        let (SET, attributes, rest) = element(rdns)? else { return None };
        texts.push(relative(attributes)?);
        rdns = rest;
    }
    texts.reverse();
    Some(texts.join(","))
}

fn relative(mut attributes: &[u8]) -> Option<String> {
    let mut text = String::new();
    while !attributes.is_empty() {
        let (SEQUENCE, attribute, rest) = element(attributes)? else { return None };
        let (OBJECT_IDENTIFIER, oid, value) = element(attribute)? else { return None };
        let (tag, value, []) = element(value)? else { return None };
        let (_, short) = SHORT_NAMES.iter().find(|(known, _)| *known == oid)?;
        if !TEXTS.contains(&tag) {
            return None;
        }
        if !text.is_empty() {
            text.push('+');
        }
        text.push_str(short);
        text.push('=');
        escape(value, &mut text);
        attributes = rest;
    }
    Some(text)
}

fn escape(value: &[u8], text: &mut String) {
    for (at, byte) in value.iter().enumerate() {
        let at_an_end = at == 0 || at + 1 == value.len();
        match byte {
            b',' | b'+' | b'<' | b'>' | b';' => text.extend(['\\', char::from(*byte)]),
            b' ' if at_an_end => text.push_str("\\ "),
            b'#' if at == 0 => text.push_str("\\#"),
            b'"' | b'\\' | 0..=0x1f | 0x7f.. => text.push_str(&format!("\\{byte:02X}")),
            _ => text.push(char::from(*byte)),
        }
    }
}

/// One DER element: its tag, its content, and what follows. Lengths up to 65535.
fn element(bytes: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = bytes.split_first()?;
    let (length, rest) = match rest {
        [length @ 0..=0x7f, rest @ ..] => (usize::from(*length), rest),
        [0x81, length, rest @ ..] => (usize::from(*length), rest),
        [0x82, high, low, rest @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), rest),
        _ => return None,
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wrap(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
        let content = parts.concat();
        let length = u8::try_from(content.len()).expect("short test data");
        [&[tag, 0x81, length][..], &content].concat()
    }

    fn attribute(oid: &[u8], tag: u8, value: &[u8]) -> Vec<u8> {
        wrap(SEQUENCE, &[&wrap(OBJECT_IDENTIFIER, &[oid]), &wrap(tag, &[value])])
    }

    #[test]
    fn the_last_attribute_comes_first() {
        let organisation = wrap(SET, &[&attribute(&[0x55, 4, 10], 0x0c, b"Acme, Inc.")]);
        let common = wrap(SET, &[&attribute(&[0x55, 4, 3], 0x13, b"edge"), &attribute(&[0x55, 4, 11], 0x0c, b"ops")]);
        let name = wrap(SEQUENCE, &[&organisation, &common]);
        assert_eq!(rfc2253(&name).as_deref(), Some("CN=edge+OU=ops,O=Acme\\, Inc."));
        assert_eq!(rfc2253(&[SEQUENCE, 0]).as_deref(), Some(""));
    }

    #[test]
    fn a_strangers_text_cannot_leave_its_place() {
        for (value, text) in [
            (&b"a\",CN=b"[..], "CN=a\\22\\,CN=b"),
            (b"a\\", "CN=a\\5C"),
            (b"#a", "CN=\\#a"),
            (b" a ", "CN=\\ a\\ "),
            (b"a\r\nb", "CN=a\\0D\\0Ab"),
            ("ü".as_bytes(), "CN=\\C3\\BC"),
        ] {
            let name = wrap(SEQUENCE, &[&wrap(SET, &[&attribute(&[0x55, 4, 3], 0x0c, value)])]);
            assert_eq!(rfc2253(&name).as_deref(), Some(text));
        }
    }

    proptest! {
        #[test]
        fn no_bytes_panic_and_no_text_holds_a_quotation_mark(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            let name = wrap(SEQUENCE, &[&wrap(SET, &[&attribute(&[0x55, 4, 3], 0x0c, &bytes)])]);
            let text = rfc2253(&name).expect("a name");
            prop_assert!(text.bytes().all(|byte| (0x20..0x7f).contains(&byte) && byte != b'"'));
            let _ = rfc2253(&bytes);
        }
    }
}
