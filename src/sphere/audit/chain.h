#pragma once
// The chain in one line of text:
//
//   {"seq":7,"prev":"<hash of line 6>","unix_ns":...,<members>,"hash":"<SHA-256 of all before it>"}
//
// A changed byte breaks the line's own hash; a removed, added or moved line breaks `prev` of the
// next. Whoever can write the files can make a whole new chain: that is told by a head that was
// kept elsewhere (verify's `expected`, or any shipped copy).

#include <cstdint>
#include <string>
#include <string_view>

#include "base/core/result.h"

namespace sphere::audit {

/// Where a chain has got to.
struct ChainHead {
    std::uint64_t seq = 0;                    ///< 0: nothing recorded yet
    std::string hash = std::string(64, '0');  ///< of line `seq`
    bool operator==(const ChainHead&) const = default;
};

struct ChainLine {
    std::uint64_t seq = 0;
    std::string_view prev, hash;  ///< of the line that was read
};

/// The line after `head` without its newline, and moves `head` on to it.
std::string seal_line(ChainHead& head, std::int64_t unix_ns, std::string_view members);

/// Reads a line and checks its own hash. Errors: data_loss.
base::Result<ChainLine> open_line(std::string_view line);

/// "SEQ:HASH", as people keep it. Errors: invalid_argument.
base::Result<ChainHead> parse_head(std::string_view text);
std::string head_text(const ChainHead& head);

}  // namespace sphere::audit
