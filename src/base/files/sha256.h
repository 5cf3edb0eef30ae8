#pragma once
// SHA-256 of streams and files: how downloads and model files are told apart from damaged ones.

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/core/result.h"

namespace base {

/// Feed bytes in any pieces, then take the digest once.
class Sha256 {
public:
    Sha256();
    ~Sha256();
    Sha256(Sha256&&) noexcept;
    Sha256& operator=(Sha256&&) noexcept;

    void update(std::span<const std::byte> bytes);
    /// Ends the stream: later updates are a bug.
    std::array<std::byte, 32> finish();
    /// The same as 64 lower-case hex digits.
    std::string finish_hex();

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

/// Digest of `bytes` as 64 lower-case hex digits.
std::string sha256_hex(std::string_view bytes);

/// Digest of a whole file. `progress` (may be empty) gets the bytes read so far and returns false
/// to stop, which gives `cancelled`.
Result<std::string> sha256_file(const std::string& path,
                                const std::function<bool(std::uint64_t)>& progress = {});

}  // namespace base
