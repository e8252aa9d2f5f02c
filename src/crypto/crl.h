/* One CRL as it came from a distribution point, checked before anybody believes it (RFC 5280,
 * section 5). Private. */
#ifndef CRYPTO_CRL_H
#define CRYPTO_CRL_H

#include "base/bytes.h"

#include <stdbool.h>

#define CRL_LEN_MAX  (8u << 20) /* bytes: some 200,000 revoked certificates */
#define CRL_URLS_MAX 4
#define CRL_URL_MAX  1024 /* bytes, with the end of the text */

struct crl_content {
	int64_t this_update_s, next_update_s;
	unsigned revoked;
};
/* Is it a complete, current CRL of this authority (a certificate in DER), signed by it? False with
 * a reason. */
bool crl_check(struct bytes der, struct bytes authority, int64_t now_s, struct crl_content *content,
	char *why, size_t size);

/* The http and https URLs of a certificate's crlDistributionPoints (section 4.2.1.13), each
 * malloc'd; how many. Points for some reasons only, and of other issuers than the certificate's,
 * are left out. */
unsigned crl_urls(struct bytes certificate, char *urls[CRL_URLS_MAX]);

#endif
