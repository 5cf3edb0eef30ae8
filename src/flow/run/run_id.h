#pragma once
// Names of runs: when they began and chance, so that they sort by time and are never guessed.

#include <compare>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "base/core/rng.h"

namespace flow {

struct RunId {
    std::uint64_t high = 0;  ///< 48 bits of milliseconds since 1970, then 16 of chance
    std::uint64_t low = 0;   ///< chance
    auto operator<=>(const RunId&) const = default;
    explicit operator bool() const { return high != 0 || low != 0; }
};

RunId make_run_id(std::int64_t now_ms, base::Rng& rng);
/// "run_" and 26 characters of Crockford's base 32, sorted as the ids are.
std::string to_text(RunId id);
std::optional<RunId> run_id_from(std::string_view text);

}  // namespace flow

template <>
struct std::hash<flow::RunId> {
    std::size_t operator()(flow::RunId id) const noexcept {
        return static_cast<std::size_t>(id.low ^ (id.high * 0x9e3779b97f4a7c15ull));
    }
};
