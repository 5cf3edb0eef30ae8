#include "flow/run/run_id.h"

namespace flow {
namespace {

constexpr std::string_view kDigits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
constexpr std::string_view kPrefix = "run_";
constexpr std::size_t kLength = 26;  // 130 bits; the first digit holds 3

}  // namespace

RunId make_run_id(std::int64_t now_ms, base::Rng& rng) {
    const std::uint64_t chance = rng.next();
    return RunId{static_cast<std::uint64_t>(now_ms) << 16 | (chance & 0xffff), rng.next()};
}

std::string to_text(RunId id) {
    std::string text(kLength, '0');
    unsigned __int128 value = (static_cast<unsigned __int128>(id.high) << 64) | id.low;
    for (std::size_t i = kLength; i-- > 0; value >>= 5) {
        text[i] = kDigits[static_cast<std::size_t>(value & 31)];
    }
    return std::string(kPrefix) + text;
}

std::optional<RunId> run_id_from(std::string_view text) {
    if (!text.starts_with(kPrefix)) return std::nullopt;
    text.remove_prefix(kPrefix.size());
    if (text.size() != kLength || text[0] > '7') return std::nullopt;
    unsigned __int128 value = 0;
    for (const char c : text) {
        const std::size_t digit = kDigits.find(c);
        if (digit == std::string_view::npos) return std::nullopt;
        value = (value << 5) | digit;
    }
    return RunId{static_cast<std::uint64_t>(value >> 64), static_cast<std::uint64_t>(value)};
}

}  // namespace flow
