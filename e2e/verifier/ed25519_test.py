"""The test vectors of RFC 8032, section 7.1, and what must not pass."""

import unittest

from ed25519 import BASE, ORDER, encode, is_signed

# Public key, message, signature.
VECTORS = [
    (
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46bd25bf5f0595bbe24655141438e7a100b",
    ),
    (
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00",
    ),
    (
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc6594a7c15e9716ed28dc027beceea1ec40a",
    ),
    (
        "ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
        "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f",
        "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e0303dca179c138ac17ad9bef1177331a704",
    ),
]


class Ed25519Test(unittest.TestCase):
    def test_vectors_of_rfc_8032(self) -> None:
        for vector in VECTORS:
            key, message, signature = map(bytes.fromhex, vector)
            self.assertTrue(is_signed(key, message, signature))
            self.assertFalse(is_signed(key, message + b"x", signature))
            for bit in range(0, 512, 7):
                flipped = bytearray(signature)
                flipped[bit // 8] ^= 1 << bit % 8
                self.assertFalse(is_signed(key, message, bytes(flipped)))

    def test_a_signature_has_one_spelling(self) -> None:
        key, message, signature = map(bytes.fromhex, VECTORS[1])
        s = int.from_bytes(signature[32:], "little") + ORDER
        self.assertFalse(is_signed(key, message, signature[:32] + s.to_bytes(32, "little")))
        self.assertFalse(is_signed(key, message, signature + b"\0"))
        self.assertFalse(is_signed(key, message, signature[:63]))

    def test_what_is_no_key(self) -> None:
        _, message, signature = map(bytes.fromhex, VECTORS[1])
        for key in (b"", bytes(31), (2).to_bytes(32, "little"), b"\xff" * 32):
            self.assertFalse(is_signed(key, message, signature))

    def test_base(self) -> None:
        assert BASE is not None
        self.assertEqual(encode(BASE).hex(), "58" + "66" * 31)


if __name__ == "__main__":
    unittest.main()
