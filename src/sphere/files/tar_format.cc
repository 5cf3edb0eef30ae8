#include "sphere/files/tar_format.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>

namespace sphere::files {
namespace {

using base::Code;
using base::Result;

struct Span {
    std::size_t at, length;
};
constexpr Span kName{0, 100}, kMode{100, 8}, kUid{108, 8}, kGid{116, 8}, kSize{124, 12},
    kTime{136, 12}, kSum{148, 8}, kType{156, 1}, kLink{157, 100}, kMagic{257, 8}, kPrefix{345, 155};
constexpr std::uint64_t kOctalSizeMax = 077777777777;
constexpr std::string_view kUstar{"ustar\00000", 8}, kGnu{"ustar  \0", 8};

std::string_view field(std::string_view block, Span span) {
    return block.substr(span.at, span.length);
}
std::string_view text(std::string_view block, Span span) {
    const std::string_view whole = field(block, span);
    return whole.substr(0, whole.find('\0'));
}

std::unexpected<base::Error> bad(std::string_view what) {
    return base::fail(Code::invalid_argument, "not a tar archive: {}", what);
}

/// Octal digits between spaces and zeros, or GNU's base 256 (first bit set).
Result<std::uint64_t> number(std::string_view block, Span span) {
    std::string_view digits = field(block, span);
    if ((static_cast<unsigned char>(digits[0]) & 0x80u) != 0) {
        std::uint64_t value = static_cast<unsigned char>(digits[0]) & 0x7Fu;
        for (const char c : digits.substr(1)) {
            if (value >> 55 != 0) return bad("a number is too large or negative");
            value = value << 8 | static_cast<unsigned char>(c);
        }
        return value;
    }
    const auto blank = [](char c) { return c == ' ' || c == '\0'; };
    while (!digits.empty() && blank(digits.front())) digits.remove_prefix(1);
    while (!digits.empty() && blank(digits.back())) digits.remove_suffix(1);
    std::uint64_t value = 0;
    if (digits.empty()) return value;
    const auto [end, error] =
        std::from_chars(digits.data(), digits.data() + digits.size(), value, 8);
    if (error != std::errc() || end != digits.data() + digits.size()) {
        return bad("a number is not octal");
    }
    return value;
}

std::uint64_t checksum(std::string_view block) {
    std::uint64_t sum = 0;
    for (std::size_t i = 0; i < kTarBlock; ++i) {
        const bool in_sum = i >= kSum.at && i < kSum.at + kSum.length;
        sum += in_sum ? static_cast<unsigned>(' ') : static_cast<unsigned char>(block[i]);
    }
    return sum;
}

void put(std::string& block, Span span, std::string_view value) {
    std::copy_n(value.data(), std::min(value.size(), span.length),
                block.begin() + static_cast<std::ptrdiff_t>(span.at));
}
void put_octal(std::string& block, Span span, std::uint64_t value) {
    put(block, span, fmt::format("{:0{}o}", value, span.length - 1));
}

std::string ustar_block(const TarHead& entry) {
    std::string block(kTarBlock, '\0');
    put(block, kName, entry.name);
    put_octal(block, kMode, entry.mode & 0777u);
    put_octal(block, kUid, 0);
    put_octal(block, kGid, 0);
    put_octal(block, kSize, std::min(entry.bytes, kOctalSizeMax));
    put_octal(block, kTime,
              static_cast<std::uint64_t>(std::max<std::int64_t>(entry.modified_unix_s, 0)));
    block[kType.at] = entry.type;
    put(block, kLink, entry.link_target);
    put(block, kMagic, kUstar);
    put(block, kSum, fmt::format("{:06o}", checksum(block)) + std::string("\0 ", 2));
    return block;
}

/// "LENGTH key=value\n", where LENGTH counts itself.
std::string pax_record(std::string_view key, std::string_view value) {
    const std::size_t rest = key.size() + value.size() + 3;
    std::size_t length = rest + 1;
    while (fmt::format("{}", length).size() + rest != length) ++length;
    return fmt::format("{} {}={}\n", length, key, value);
}

}  // namespace

std::string tar_padding(std::uint64_t bytes) {
    return std::string((kTarBlock - bytes % kTarBlock) % kTarBlock, '\0');
}
std::string tar_end() {
    return std::string(2 * kTarBlock, '\0');
}

std::string tar_head(const TarHead& entry) {
    std::string records;
    if (entry.name.size() > kName.length) records += pax_record("path", entry.name);
    if (entry.link_target.size() > kLink.length) {
        records += pax_record("linkpath", entry.link_target);
    }
    if (entry.bytes > kOctalSizeMax) records += pax_record("size", fmt::format("{}", entry.bytes));
    std::string out;
    if (!records.empty()) {
        out += ustar_block({.name = "pax-head", .type = 'x', .bytes = records.size()});
        out += records + tar_padding(records.size());
    }
    return out + ustar_block(entry);
}

Result<TarHeadReader::Found> TarHeadReader::read(std::string_view block) {
    if (std::ranges::all_of(block, [](char c) { return c == '\0'; }))
        return Found{Kind::end, {}, 0};
    const std::uint64_t stated = DG_TRY(number(block, kSum));
    if (stated != checksum(block)) return bad("a head has the wrong checksum");
    Found found;
    TarHead& entry = found.entry;
    const std::string_view magic = field(block, kMagic);
    entry.type = block[kType.at] == '\0' || block[kType.at] == '7' ? '0' : block[kType.at];
    entry.bytes = DG_TRY(number(block, kSize));
    if (std::string_view("xgLK").find(entry.type) != std::string_view::npos) {
        if (entry.bytes > kMetaBytesMax) return bad("a name or a pax head is over 1 MiB");
        meta_type_ = entry.type;
        found.kind = Kind::meta;
        found.meta_bytes = entry.bytes;
        return found;
    }
    found.kind = Kind::entry;
    entry.name = text(block, kName);
    if (magic == kUstar && !text(block, kPrefix).empty()) {
        entry.name = fmt::format("{}/{}", text(block, kPrefix), entry.name);
    }
    entry.link_target = text(block, kLink);
    entry.mode = static_cast<std::uint32_t>(DG_TRY(number(block, kMode)) & 07777);
    entry.modified_unix_s = static_cast<std::int64_t>(DG_TRY(number(block, kTime)) & INT64_MAX);
    if (name_) entry.name = std::move(*name_);
    if (link_target_) entry.link_target = std::move(*link_target_);
    if (bytes_) entry.bytes = *bytes_;
    if (modified_) entry.modified_unix_s = *modified_;
    name_ = link_target_ = std::nullopt;
    bytes_ = std::nullopt;
    modified_ = std::nullopt;
    // Old archives mark folders by the slash alone.
    if (entry.type == '0' && entry.name.ends_with('/')) entry.type = '5';
    if (entry.type != '0') entry.bytes = entry.type == '5' || entry.type == '2' ? 0 : entry.bytes;
    return found;
}

Result<void> TarHeadReader::add_meta(std::string_view content) {
    if (meta_type_ == 'L' || meta_type_ == 'K') {  // GNU: the text, with a zero at its end
        (meta_type_ == 'L' ? name_ : link_target_) = content.substr(0, content.find('\0'));
        return {};
    }
    while (!content.empty()) {
        std::size_t length = 0;
        const auto [end, error] =
            std::from_chars(content.data(), content.data() + content.size(), length);
        const auto digits = static_cast<std::size_t>(end - content.data());
        if (error != std::errc() || length > content.size() || length < digits + 3 ||
            content[digits] != ' ' || content[length - 1] != '\n') {
            return bad("a pax record is broken");
        }
        const std::string_view record = content.substr(digits + 1, length - digits - 2);
        content.remove_prefix(length);
        const std::size_t equals = record.find('=');
        if (equals == std::string_view::npos) return bad("a pax record has no value");
        const std::string_view key = record.substr(0, equals), value = record.substr(equals + 1);
        if (meta_type_ == 'g')
            continue;  // for the whole archive: comments; names make no sense there
        if (key == "path") name_ = value;
        if (key == "linkpath") link_target_ = value;
        if (key.starts_with("GNU.sparse.")) return bad("sparse files are not taken");
        if (key == "size" || key == "mtime") {
            std::int64_t parsed = 0;
            const auto [stop, wrong] =
                std::from_chars(value.data(), value.data() + value.size(), parsed);
            const bool whole = stop == value.data() + value.size();
            if (wrong != std::errc() || (key == "size" && (!whole || parsed < 0))) {
                return bad("a pax size or time is no number");
            }
            if (key == "size") bytes_ = static_cast<std::uint64_t>(parsed);
            if (key == "mtime") modified_ = parsed;
        }
    }
    return {};
}

}  // namespace sphere::files
