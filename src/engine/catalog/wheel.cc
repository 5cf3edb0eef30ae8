#include "engine/catalog/wheel.h"

#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <limits>
#include <optional>

namespace engine {

using base::Code;
using base::fail;
using base::Result;

namespace {

// Sizes and signatures: PKWARE APPNOTE 4.3.
constexpr std::uint32_t kEndSignature = 0x06054b50;
constexpr std::uint32_t kEntrySignature = 0x02014b50;
constexpr std::uint32_t kLocalSignature = 0x04034b50;
constexpr std::size_t kEndBytes = 22, kEntryBytes = 46, kLocalBytes = 30;
constexpr std::size_t kCommentMax = 65535;
constexpr std::size_t kPieceBytes = 1u << 20;

template <class T>
T read_le(std::span<const std::byte> bytes, std::size_t offset) {
    T value;
    std::memcpy(&value, bytes.data() + offset, sizeof(T));
    return value;
}

std::optional<std::size_t> find_end(std::span<const std::byte> archive) {
    if (archive.size() < kEndBytes) return std::nullopt;
    const std::size_t last = archive.size() - kEndBytes;
    for (std::size_t back = 0; back <= std::min(last, kCommentMax); ++back) {
        if (read_le<std::uint32_t>(archive, last - back) == kEndSignature) return last - back;
    }
    return std::nullopt;
}

/// Where the member's packed bytes lie, checked to be inside.
Result<std::span<const std::byte>> packed_bytes(std::span<const std::byte> archive,
                                                const ZipMember& member) {
    const std::uint64_t at = member.header_offset;
    const bool header_fits = at <= archive.size() && archive.size() - at >= kLocalBytes;
    if (!header_fits || read_le<std::uint32_t>(archive, at) != kLocalSignature) {
        return fail(Code::data_loss, "the archive's entry for {} points outside of it",
                    member.name);
    }
    const std::uint64_t skip = kLocalBytes + read_le<std::uint16_t>(archive, at + 26) +
                               std::uint64_t{read_le<std::uint16_t>(archive, at + 28)};
    const std::uint64_t left = archive.size() - at;
    if (skip > left || member.bytes_packed > left - skip) {
        return fail(Code::data_loss, "the archive is cut off inside {}", member.name);
    }
    return archive.subspan(at + skip, member.bytes_packed);
}

class Inflater {
public:
    Inflater() { ready_ = inflateInit2(&stream_, -MAX_WBITS) == Z_OK; }
    ~Inflater() {
        if (ready_) inflateEnd(&stream_);
    }
    Inflater(const Inflater&) = delete;
    Inflater& operator=(const Inflater&) = delete;

    template <class Sink>
    Result<void> run(std::span<const std::byte> packed, const ZipMember& member, const Sink& sink) {
        if (!ready_) return fail(Code::resource_exhausted, "zlib cannot start");
        std::vector<std::byte> piece(kPieceBytes);
        int code = Z_OK;
        while (code != Z_STREAM_END) {
            if (stream_.avail_in == 0) {
                const std::size_t take = std::min<std::size_t>(packed.size(), 1u << 30);
                // zlib's interface predates const; it only reads.
                stream_.next_in = reinterpret_cast<Bytef*>(const_cast<std::byte*>(packed.data()));
                stream_.avail_in = static_cast<uInt>(take);
                packed = packed.subspan(take);
            }
            stream_.next_out = reinterpret_cast<Bytef*>(piece.data());
            stream_.avail_out = static_cast<uInt>(piece.size());
            code = inflate(&stream_, Z_NO_FLUSH);
            const std::size_t made = piece.size() - stream_.avail_out;
            const bool stuck = made == 0 && stream_.avail_in == 0 && packed.empty();
            if ((code != Z_OK && code != Z_STREAM_END) || (stuck && code != Z_STREAM_END)) {
                return fail(Code::data_loss, "the packed data of {} is damaged", member.name);
            }
            DG_TRY(sink(std::span<const std::byte>(piece).first(made)));
        }
        return {};
    }

private:
    z_stream stream_{};
    bool ready_ = false;
};

}  // namespace

Result<std::vector<ZipMember>> read_zip_directory(std::span<const std::byte> archive) {
    const auto end = find_end(archive);
    if (!end) return fail(Code::data_loss, "not a zip archive, or cut off: it has no directory");
    const auto count = read_le<std::uint16_t>(archive, *end + 10);
    const auto size = read_le<std::uint32_t>(archive, *end + 12);
    const auto start = read_le<std::uint32_t>(archive, *end + 16);
    constexpr auto kIn64 = std::numeric_limits<std::uint32_t>::max();
    if (count == 0xffff || size == kIn64 || start == kIn64) {
        return fail(Code::unimplemented, "archives over 4 GiB (zip64) are not supported");
    }
    if (start > *end || size > *end - start) {
        return fail(Code::data_loss, "the archive's directory lies outside of it");
    }
    std::vector<ZipMember> members;
    std::span<const std::byte> directory = archive.subspan(start, size);
    for (std::uint32_t i = 0; i < count; ++i) {
        if (directory.size() < kEntryBytes ||
            read_le<std::uint32_t>(directory, 0) != kEntrySignature) {
            return fail(Code::data_loss, "entry {} of the archive's directory is damaged", i);
        }
        const std::size_t name_bytes = read_le<std::uint16_t>(directory, 28);
        const std::size_t whole = kEntryBytes + name_bytes + read_le<std::uint16_t>(directory, 30) +
                                  read_le<std::uint16_t>(directory, 32);
        if (whole > directory.size()) {
            return fail(Code::data_loss, "entry {} of the archive's directory is cut off", i);
        }
        ZipMember member;
        member.name.assign(reinterpret_cast<const char*>(directory.data() + kEntryBytes),
                           name_bytes);
        if ((read_le<std::uint16_t>(directory, 8) & 1u) != 0) {
            return fail(Code::unimplemented, "{} is encrypted", member.name);
        }
        member.method = read_le<std::uint16_t>(directory, 10);
        member.crc32 = read_le<std::uint32_t>(directory, 16);
        member.bytes_packed = read_le<std::uint32_t>(directory, 20);
        member.bytes = read_le<std::uint32_t>(directory, 24);
        member.header_offset = read_le<std::uint32_t>(directory, 42);
        members.push_back(std::move(member));
        directory = directory.subspan(whole);
    }
    return members;
}

Result<void> extract_zip_member(
    std::span<const std::byte> archive, const ZipMember& member,
    const std::function<Result<void>(std::span<const std::byte>)>& sink) {
    std::span<const std::byte> packed = DG_TRY(packed_bytes(archive, member));
    std::uint64_t bytes = 0;
    uLong crc = crc32(0, nullptr, 0);
    const auto checked_sink = [&](std::span<const std::byte> piece) -> Result<void> {
        bytes += piece.size();
        if (bytes > member.bytes) {
            return fail(Code::data_loss, "{} unpacks to more than the {} bytes it says",
                        member.name, member.bytes);
        }
        crc = crc32(crc, reinterpret_cast<const Bytef*>(piece.data()),
                    static_cast<uInt>(piece.size()));
        return sink(piece);
    };
    if (member.method == 8) {
        DG_TRY(Inflater().run(packed, member, checked_sink));
    } else if (member.method == 0) {
        while (!packed.empty()) {
            DG_TRY(checked_sink(packed.first(std::min(packed.size(), kPieceBytes))));
            packed = packed.subspan(std::min(packed.size(), kPieceBytes));
        }
    } else {
        return fail(Code::unimplemented,
                    "{} is packed with method {}; stored and deflate are known", member.name,
                    member.method);
    }
    if (bytes != member.bytes || crc != member.crc32) {
        return fail(Code::data_loss,
                    "{} unpacks to {} bytes with crc {:08x}, expected {} with "
                    "{:08x}",
                    member.name, bytes, crc, member.bytes, member.crc32);
    }
    return {};
}

}  // namespace engine
