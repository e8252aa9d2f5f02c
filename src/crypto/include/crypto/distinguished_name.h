/* Distinguished names: DER (X.501 Name) to and from text, and compared. Whatever the bytes are. Any
 * thread, no state. */
#ifndef CRYPTO_DISTINGUISHED_NAME_H
#define CRYPTO_DISTINGUISHED_NAME_H

#include "base/bytes.h"

#define DN_LEN_MAX  1024
#define DN_TEXT_MAX 512

/* "C=CH, O=Example, CN=gw.example.org" in the order of the encoding, cut at `size` between two
 * attributes; what is not printable, and commas, are escaped by a backslash. What is no name is
 * written as "<malformed name>". Returns `out`. */
const char *dn_text(struct bytes der, char *out, size_t size);
/* The other way: attributes separated by ',' or '/', in the order in which they are to be encoded.
 * Returns the length written to `out`, 0 with a reason in `error`. */
size_t dn_of_text(const char *text, uint8_t out[DN_LEN_MAX], char *error, size_t error_size);
/* A sequence of attributes with nothing behind it? */
bool dn_is_well_formed(struct bytes der);
/* By RFC 5280, section 7.1: string types, case and repeated blanks do not count. */
bool dn_equal(struct bytes a, struct bytes b);
/* Equal names have equal hashes; nobody's input is kept from colliding by it: hash again under a
 * seed. */
uint64_t dn_hash(struct bytes der);

#endif
