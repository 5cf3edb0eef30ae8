#include "base/files/hmac.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/core/check.h"

namespace base {

std::string hmac_sha256(std::string_view key, std::string_view bytes) {
    std::string out(32, '\0');
    unsigned size = 0;
    const unsigned char* const made =
        HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
             reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
             reinterpret_cast<unsigned char*>(out.data()), &size);
    DG_CHECK(made != nullptr && size == out.size(), "OpenSSL lacks HMAC-SHA256");
    return out;
}

}  // namespace base
