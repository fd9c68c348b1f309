//! Short stable names for content: hashes of templates, documents and Gateways. Pure.

/// FNV-1a, 64 bits, over several pieces.
pub fn fnv<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> u64 {
    let bytes = pieces.into_iter().flatten();
    bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::fnv;

    /// The test vectors of the function's authors.
    #[test]
    fn known_values() {
        assert_eq!(fnv([&b""[..]]), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv([&b"foobar"[..]]), 0x8594_4171_f739_67e8);
        assert_eq!(fnv([&b"foo"[..], b"bar"]), fnv([&b"foobar"[..]]));
    }
}
