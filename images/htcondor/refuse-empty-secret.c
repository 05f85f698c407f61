/* Refuses to derive a key from an empty secret; loaded into every process of this image.
 *
 * HTCondor's IDTOKENS server derives a connection's keys from a token's signature
 * (src/condor_io/condor_auth_passwd.cpp, setup_shared_keys). There are tokens for which 23.9.6
 * computes none, and derives from nothing, as anybody can. With this, such a token is refused;
 * nothing else derives from nothing.
 */
#define _GNU_SOURCE
#include <dlfcn.h>

#include <stddef.h>

#define NAME "EVP_PKEY_CTX_set1_hkdf_key"

typedef int set_key(void *context, const unsigned char *key, int length);

static set_key *openssl(void)
{
    void *found = dlsym(RTLD_NEXT, NAME);

    if (!found) { /* loaded by a module of Python, out of sight */
        void *library = dlopen("libcrypto.so.3", RTLD_LAZY | RTLD_NOLOAD);
        found = library ? dlsym(library, NAME) : NULL;
    }
    return (set_key *)found;
}

int EVP_PKEY_CTX_set1_hkdf_key(void *context, const unsigned char *key, int length)
{
    set_key *real = openssl();

    return length > 0 && real ? real(context, key, length) : 0;
}
