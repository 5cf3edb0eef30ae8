#include "base/files/aead.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include <cstring>
#include <memory>
#include <vector>

#include "base/core/check.h"

namespace base {
namespace {

constexpr std::size_t kNonceBytes = 12, kTagBytes = 16, kBlockBytes = 16;

// Looked up once: by name it costs more than sealing a short text.
const EVP_CIPHER* gcm() {
    static const EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
    DG_CHECK(cipher != nullptr, "OpenSSL lacks AES-256-GCM");
    return cipher;
}
const EVP_CIPHER* ecb() {
    static const EVP_CIPHER* const cipher = EVP_CIPHER_fetch(nullptr, "AES-256-ECB", nullptr);
    DG_CHECK(cipher != nullptr, "OpenSSL lacks AES-256");
    return cipher;
}

struct FreeContext {
    void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};
/// Keeps the schedule of no key: reset after each use.
class Context {
public:
    Context() : context_(mine()) {}
    ~Context() { EVP_CIPHER_CTX_reset(context_); }
    Context(const Context&) = delete;
    Context& operator=(const Context&) = delete;
    operator EVP_CIPHER_CTX*() const { return context_; }

private:
    static EVP_CIPHER_CTX* mine() {
        thread_local const std::unique_ptr<EVP_CIPHER_CTX, FreeContext> context(
            EVP_CIPHER_CTX_new());
        DG_CHECK(context != nullptr, "no memory for a cipher");
        return context.get();
    }
    EVP_CIPHER_CTX* context_;
};

const unsigned char* in(std::string_view bytes) {
    return reinterpret_cast<const unsigned char*>(bytes.data());
}
unsigned char* out(char* bytes) {
    return reinterpret_cast<unsigned char*>(bytes);
}

void random(char* bytes, std::size_t size) {
    DG_CHECK(RAND_bytes(out(bytes), static_cast<int>(size)) == 1, "OpenSSL gives no random bytes");
}

}  // namespace

SecretKey SecretKey::random() {
    std::array<char, kBytes> bytes{};
    base::random(bytes.data(), bytes.size());
    SecretKey key({bytes.data(), bytes.size()});
    OPENSSL_cleanse(bytes.data(), bytes.size());
    return key;
}

SecretKey::SecretKey(std::string_view bytes) {
    DG_CHECK(bytes.size() == kBytes);
    std::memcpy(bytes_.data(), bytes.data(), kBytes);
}

SecretKey::~SecretKey() {
    OPENSSL_cleanse(bytes_.data(), bytes_.size());
}

std::string seal(const SecretKey& key, std::string_view plain, std::string_view bound) {
    std::string sealed(plain.size() + kSealBytes, '\0');
    random(sealed.data(), kNonceBytes);
    const Context context;
    int size = 0;
    char* const text = sealed.data() + kNonceBytes;
    bool done =
        EVP_EncryptInit_ex(context, gcm(), nullptr, in(key.bytes()), in(sealed)) == 1 &&
        EVP_EncryptUpdate(context, nullptr, &size, in(bound), static_cast<int>(bound.size())) ==
            1 &&
        EVP_EncryptUpdate(context, out(text), &size, in(plain), static_cast<int>(plain.size())) ==
            1 &&
        EVP_EncryptFinal_ex(context, out(text) + size, &size) == 1 &&
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_GET_TAG, kTagBytes, text + plain.size()) == 1;
    DG_CHECK(done, "OpenSSL cannot encrypt");
    return sealed;
}

std::optional<std::string> unseal(const SecretKey& key, std::string_view sealed,
                                  std::string_view bound) {
    if (sealed.size() < kSealBytes) return std::nullopt;
    const std::string_view text = sealed.substr(kNonceBytes, sealed.size() - kSealBytes);
    std::string tag(sealed.substr(sealed.size() - kTagBytes));
    std::string plain(text.size(), '\0');
    const Context context;
    int size = 0;
    const bool began =
        EVP_DecryptInit_ex(context, gcm(), nullptr, in(key.bytes()), in(sealed)) == 1 &&
        EVP_DecryptUpdate(context, nullptr, &size, in(bound), static_cast<int>(bound.size())) ==
            1 &&
        EVP_DecryptUpdate(context, out(plain.data()), &size, in(text),
                          static_cast<int>(text.size())) == 1 &&
        EVP_CIPHER_CTX_ctrl(context, EVP_CTRL_GCM_SET_TAG, kTagBytes, tag.data()) == 1;
    if (!began || EVP_DecryptFinal_ex(context, out(plain.data()) + size, &size) != 1) {
        return std::nullopt;
    }
    return plain;
}

void veil(const SecretKey& key, std::span<std::int64_t> numbers) {
    if (numbers.empty()) return;
    // A block each, of which half is kept: a pseudo-random function of the number.
    std::vector<unsigned char> blocks(numbers.size() * kBlockBytes, 0);
    for (std::size_t i = 0; i < numbers.size(); ++i) {
        std::memcpy(&blocks[i * kBlockBytes], &numbers[i], sizeof(numbers[i]));
    }
    const Context context;
    int size = 0;
    const bool done = EVP_EncryptInit_ex(context, ecb(), nullptr, in(key.bytes()), nullptr) == 1 &&
                      EVP_CIPHER_CTX_set_padding(context, 0) == 1 &&
                      EVP_EncryptUpdate(context, blocks.data(), &size, blocks.data(),
                                        static_cast<int>(blocks.size())) == 1;
    DG_CHECK(done, "OpenSSL cannot encrypt");
    for (std::size_t i = 0; i < numbers.size(); ++i) {
        std::memcpy(&numbers[i], &blocks[i * kBlockBytes], sizeof(numbers[i]));
    }
}

}  // namespace base
