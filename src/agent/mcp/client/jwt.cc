#include "agent/mcp/client/jwt.h"

#include <openssl/bio.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>

#include <memory>

#include "base/core/base64.h"

namespace agent::mcp {
namespace {

using base::Code;
using base::Result;

template <auto Free>
struct Deleter {
    template <class T>
    void operator()(T* object) const {
        Free(object);
    }
};
using Key = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;
using Context = std::unique_ptr<EVP_MD_CTX, Deleter<EVP_MD_CTX_free>>;
using Bio = std::unique_ptr<BIO, Deleter<BIO_free>>;
using Signature = std::unique_ptr<ECDSA_SIG, Deleter<ECDSA_SIG_free>>;

constexpr int kHalfBytes = 32;  // of a P-256 signature

/// From OpenSSL's shape to the two numbers side by side that the token has.
Result<std::string> two_numbers(const std::string& der) {
    const auto* at = reinterpret_cast<const unsigned char*>(der.data());
    const Signature signature(d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size())));
    std::string out(2 * kHalfBytes, '\0');
    auto* bytes = reinterpret_cast<unsigned char*>(out.data());
    const bool fits =
        signature &&
        BN_bn2binpad(ECDSA_SIG_get0_r(signature.get()), bytes, kHalfBytes) == kHalfBytes &&
        BN_bn2binpad(ECDSA_SIG_get0_s(signature.get()), bytes + kHalfBytes, kHalfBytes) ==
            kHalfBytes;
    if (!fits) return base::fail(Code::invalid_argument, "the key is not one of curve P-256");
    return out;
}

}  // namespace

std::string base64_url(std::string_view bytes) {
    std::string out;
    base::append_base64(out, bytes);
    while (out.ends_with('=')) out.pop_back();
    for (char& c : out) c = c == '+' ? '-' : c == '/' ? '_' : c;
    return out;
}

Result<std::string> sign_jwt(const base::json::object& claims, const std::string& key_pem,
                             std::string_view algorithm) {
    const Bio bio(BIO_new_mem_buf(key_pem.data(), static_cast<int>(key_pem.size())));
    // No password: a prompt would come from nowhere.
    const auto no_password = [](char*, int, int, void*) { return 0; };
    const Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_password, nullptr));
    if (!key) {
        return base::fail(Code::invalid_argument,
                          "no private key in PEM without a password (PKCS#8 or older)");
    }
    const int kind = EVP_PKEY_get_base_id(key.get());
    if (algorithm.empty()) algorithm = kind == EVP_PKEY_EC ? "ES256" : "RS256";
    const bool curve = algorithm == "ES256", padded = algorithm == "PS256";
    if (!curve && !padded && algorithm != "RS256") {
        return base::fail(Code::invalid_argument, "algorithm '{}' is none of ES256, RS256, PS256",
                          algorithm);
    }
    if (kind != (curve ? EVP_PKEY_EC : EVP_PKEY_RSA)) {
        return base::fail(Code::invalid_argument, "{} needs a key of another kind", algorithm);
    }
    const base::json::object header{{"alg", algorithm}, {"typ", "JWT"}};
    std::string text = base64_url(base::to_text(header)) + "." + base64_url(base::to_text(claims));
    const Context context(EVP_MD_CTX_new());
    EVP_PKEY_CTX* options = nullptr;
    std::size_t bytes = 0;
    const auto* input = reinterpret_cast<const unsigned char*>(text.data());
    const bool ready =
        EVP_DigestSignInit(context.get(), &options, EVP_sha256(), nullptr, key.get()) == 1 &&
        (!padded || (EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) == 1 &&
                     EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST) == 1)) &&
        EVP_DigestSign(context.get(), nullptr, &bytes, input, text.size()) == 1;
    std::string signature(bytes, '\0');
    if (!ready || EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()),
                                 &bytes, input, text.size()) != 1) {
        return base::fail(Code::invalid_argument, "the key cannot sign with {}", algorithm);
    }
    signature.resize(bytes);
    if (curve) signature = DG_TRY(two_numbers(signature));
    return text + "." + base64_url(signature);
}

}  // namespace agent::mcp
