#include "base/files/sha256.h"

#include <fcntl.h>
#include <openssl/evp.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "base/core/check.h"
#include "base/files/file_error.h"
#include "base/files/unique_fd.h"

namespace base {
namespace {
constexpr std::size_t kReadBytes = 1u << 20;
}

struct Sha256::Impl {
    EVP_MD_CTX* context = EVP_MD_CTX_new();
    ~Impl() { EVP_MD_CTX_free(context); }
};

Sha256::Sha256() : impl_(std::make_unique<Impl>()) {
    DG_CHECK(impl_->context != nullptr && EVP_DigestInit_ex(impl_->context, EVP_sha256(), nullptr),
             "OpenSSL lacks SHA-256");
}
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::update(std::span<const std::byte> bytes) {
    DG_CHECK(EVP_DigestUpdate(impl_->context, bytes.data(), bytes.size()), "digest already taken");
}

std::array<std::byte, 32> Sha256::finish() {
    std::array<std::byte, 32> digest{};
    DG_CHECK(EVP_DigestFinal_ex(impl_->context, reinterpret_cast<unsigned char*>(digest.data()),
                                nullptr),
             "digest already taken");
    return digest;
}

std::string Sha256::finish_hex() {
    constexpr std::string_view kDigits = "0123456789abcdef";
    std::string hex;
    for (const std::byte byte : finish()) {
        hex += kDigits[std::to_integer<unsigned>(byte) >> 4];
        hex += kDigits[std::to_integer<unsigned>(byte) & 15];
    }
    return hex;
}

std::string sha256_hex(std::string_view bytes) {
    Sha256 digest;
    digest.update(std::as_bytes(std::span(bytes)));
    return digest.finish_hex();
}

Result<std::string> sha256_file(const std::string& path,
                                const std::function<bool(std::uint64_t)>& progress) {
    const UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) return fail_errno(errno, "open", path);
    Sha256 digest;
    std::vector<std::byte> buffer(kReadBytes);
    std::uint64_t bytes = 0;
    while (true) {
        const ssize_t n = ::read(file.get(), buffer.data(), buffer.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) return fail_errno(errno, "read", path);
        if (n == 0) return digest.finish_hex();
        digest.update(std::span(buffer).first(static_cast<std::size_t>(n)));
        bytes += static_cast<std::uint64_t>(n);
        if (progress && !progress(bytes)) {
            return fail_on(path, Code::cancelled, "checksum of {} stopped", path);
        }
    }
}

}  // namespace base
