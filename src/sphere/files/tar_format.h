#pragma once
// The tar format (POSIX.1-2001 pax and ustar, GNU long names): heads in and out, nothing else.
// Names are bytes. Our own code, see the README: one format, read from people who may wish us ill.

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/core/result.h"

namespace sphere::files {

inline constexpr std::size_t kTarBlock = 512;

struct TarHead {
    std::string name = {}, link_target = {};
    char type =
        '0';  ///< '0' file, '1' hard link, '2' link, '3' '4' '6' devices and FIFOs, '5' folder
    std::uint64_t bytes = 0;
    std::uint32_t mode = 0644;
    std::int64_t modified_unix_s = 0;
};

/// Heads for one entry: a pax head first when name, target or size do not fit into ustar.
std::string tar_head(const TarHead& entry);
/// Zeros up to the next block.
std::string tar_padding(std::uint64_t bytes);
std::string tar_end();

/// Collects the heads of an entry, block by block.
class TarHeadReader {
public:
    enum class Kind : std::uint8_t {
        entry,  ///< `entry` is complete; its `bytes` of content follow
        meta,   ///< `meta_bytes` of content follow that belong to the next entry: give to add_meta
        end,    ///< the end mark
    };
    struct Found {
        Kind kind = Kind::end;
        TarHead entry;
        std::uint64_t meta_bytes = 0;
    };
    /// `block` has kTarBlock bytes. Errors: invalid_argument (checksum, a number, a kind of head).
    base::Result<Found> read(std::string_view block);
    /// The content announced by the last meta head. Errors: invalid_argument.
    base::Result<void> add_meta(std::string_view content);

    /// A meta head of more is refused: a name has 255 bytes a part.
    static constexpr std::uint64_t kMetaBytesMax = 1u << 20;

private:
    char meta_type_ = 0;
    std::optional<std::string> name_, link_target_;
    std::optional<std::uint64_t> bytes_;
    std::optional<std::int64_t> modified_;
};

}  // namespace sphere::files
