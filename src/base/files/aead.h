#pragma once
// Authenticated encryption for what rests on disks: AES-256-GCM, by OpenSSL.

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace base {

/// Wiped when it goes.
class SecretKey {
public:
    static constexpr std::size_t kBytes = 32;
    static SecretKey random();
    /// Pre: kBytes of them.
    explicit SecretKey(std::string_view bytes);
    ~SecretKey();
    SecretKey(const SecretKey&) = default;
    SecretKey& operator=(const SecretKey&) = default;
    std::string_view bytes() const { return {bytes_.data(), bytes_.size()}; }

private:
    std::array<char, kBytes> bytes_{};
};

inline constexpr std::size_t kSealBytes = 12 + 16;  ///< that seal() adds

/// Nonce (of chance), ciphertext, tag. `bound`: what open() must be given again, so that sealed
/// bytes mean nothing in another place. Up to 2^32 times with one key.
std::string seal(const SecretKey& key, std::string_view plain, std::string_view bound);
/// None: not sealed with that key, for that place, or damaged.
std::optional<std::string> unseal(const SecretKey& key, std::string_view sealed,
                                  std::string_view bound);

/// Numbers that stand for these and say nothing of them without the key; the same ones for the
/// same ones. In place.
void veil(const SecretKey& key, std::span<std::int64_t> numbers);

}  // namespace base
