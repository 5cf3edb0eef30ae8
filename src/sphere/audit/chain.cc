#include "sphere/audit/chain.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "base/files/sha256.h"

namespace sphere::audit {
namespace {

constexpr std::string_view kSeq = "{\"seq\":", kPrev = ",\"prev\":\"",
                           kTime = "\",\"unix_ns\":", kHash = ",\"hash\":\"", kEnd = "\"}";
constexpr std::size_t kDigits = 64;

bool is_hash(std::string_view text) {
    return text.size() == kDigits && std::ranges::all_of(text, [](char c) {
               return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
           });
}

/// Takes a number without sign or leading zeros off the front.
bool take_number(std::string_view& text, std::uint64_t& out) {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
    if (error != std::errc() || (text.front() == '0' && end != text.data() + 1)) return false;
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
    return true;
}

bool take(std::string_view& text, std::string_view what) {
    if (!text.starts_with(what)) return false;
    text.remove_prefix(what.size());
    return true;
}

}  // namespace

std::string seal_line(ChainHead& head, std::int64_t unix_ns, std::string_view members) {
    std::string line = fmt::format("{}{}{}{}{}{}{}{}", kSeq, head.seq + 1, kPrev, head.hash, kTime,
                                   unix_ns, members.empty() ? "" : ",", members);
    head.seq += 1;
    head.hash = base::sha256_hex(line);
    line += kHash;
    line += head.hash;
    line += kEnd;
    return line;
}

base::Result<ChainLine> open_line(std::string_view line) {
    const std::size_t tail = kHash.size() + kDigits + kEnd.size();
    ChainLine out;
    std::string_view rest = line;
    if (line.size() < tail || !line.ends_with(kEnd) || !take(rest, kSeq) ||
        !take_number(rest, out.seq) || !take(rest, kPrev) || !is_hash(rest.substr(0, kDigits)) ||
        line.substr(line.size() - tail, kHash.size()) != kHash) {
        return base::fail(base::Code::data_loss, "not a line of an audit log");
    }
    out.prev = rest.substr(0, kDigits);
    out.hash = line.substr(line.size() - kDigits - kEnd.size(), kDigits);
    if (base::sha256_hex(line.substr(0, line.size() - tail)) != out.hash) {
        return base::fail(base::Code::data_loss, "the line does not have the hash it states");
    }
    return out;
}

base::Result<ChainHead> parse_head(std::string_view text) {
    ChainHead head;
    std::string_view rest = text;
    if (!text.empty() && take_number(rest, head.seq) && take(rest, ":") && is_hash(rest)) {
        head.hash = rest;
        return head;
    }
    return base::fail(base::Code::invalid_argument,
                      "'{}' is not a head of an audit log, expected SEQ:HASH with 64 hex digits",
                      text.substr(0, 100));
}

std::string head_text(const ChainHead& head) {
    return fmt::format("{}:{}", head.seq, head.hash);
}

}  // namespace sphere::audit
