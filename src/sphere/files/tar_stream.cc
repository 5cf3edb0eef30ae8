#include "sphere/files/tar_stream.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "sphere/files/name_text.h"

namespace sphere::files {
namespace {

using base::Code;
using base::Result;

constexpr std::uint64_t kRatioFromBytes = 1u << 20;

}  // namespace

Result<void> TarStream::feed(std::string_view bytes) {
    packed_ += bytes.size();
    if (!begun_) {
        first_ += bytes;
        if (first_.size() < kZstdMagic.size()) return {};
        begun_ = true;
        if (first_.starts_with("\x1f\x8b")) gzip_.emplace();
        if (first_.starts_with(kZstdMagic)) zstd_.emplace();
        const std::string start = std::move(first_);
        return feed_begun(start);
    }
    return feed_begun(bytes);
}

Result<void> TarStream::feed_begun(std::string_view bytes) {
    const auto plain = [this](std::string_view piece) { return take_plain(piece); };
    if (gzip_) return gzip_->feed(bytes, plain);
    return zstd_ ? zstd_->feed(bytes, plain) : take(bytes);
}

Result<void> TarStream::take_plain(std::string_view bytes) {
    plain_ += bytes.size();
    if (plain_ > kRatioFromBytes && plain_ / limits_.ratio_max > packed_) {
        return base::fail(Code::payload_too_large,
                          "the archive unpacks to more than {} times its size", limits_.ratio_max);
    }
    return take(bytes);
}

Result<void> TarStream::take(std::string_view bytes) {
    while (!bytes.empty() && !ended_) {
        if (file_left_ != 0) {
            DG_TRY(take_content(bytes));
        } else if (padding_left_ != 0) {
            const std::uint64_t n = std::min<std::uint64_t>(padding_left_, bytes.size());
            padding_left_ -= n;
            bytes.remove_prefix(static_cast<std::size_t>(n));
        } else if (meta_left_ != 0) {
            DG_TRY(take_meta(bytes));
        } else {
            DG_TRY(take_head(bytes));
        }
    }
    return {};  // behind the end mark there may be anything: record padding
}

Result<void> TarStream::take_head(std::string_view& bytes) {
    const std::size_t n = std::min(kTarBlock - block_.size(), bytes.size());
    block_ += bytes.substr(0, n);
    bytes.remove_prefix(n);
    if (block_.size() < kTarBlock) return {};
    const auto found = DG_TRY(heads_.read(block_));
    block_.clear();
    switch (found.kind) {
        case TarHeadReader::Kind::end:
            ended_ = true;
            return {};
        case TarHeadReader::Kind::meta:
            DG_TRY(count_entry());
            meta_left_ = meta_bytes_ = found.meta_bytes;
            if (meta_left_ == 0) DG_TRY(heads_.add_meta(""));
            return {};
        case TarHeadReader::Kind::entry:
            return begin_entry(found.entry);
    }
    return {};
}

Result<void> TarStream::take_meta(std::string_view& bytes) {
    const std::uint64_t n = std::min<std::uint64_t>(meta_left_, bytes.size());
    block_ += bytes.substr(0, static_cast<std::size_t>(n));
    bytes.remove_prefix(static_cast<std::size_t>(n));
    meta_left_ -= n;
    if (meta_left_ != 0) return {};
    DG_TRY(heads_.add_meta(block_));
    block_.clear();
    padding_left_ = tar_padding(meta_bytes_).size();
    return {};
}

Result<void> TarStream::take_content(std::string_view& bytes) {
    const std::uint64_t n = std::min<std::uint64_t>(file_left_, bytes.size());
    DG_TRY(handler_.on_content(bytes.substr(0, static_cast<std::size_t>(n))));
    bytes.remove_prefix(static_cast<std::size_t>(n));
    file_left_ -= n;
    if (file_left_ == 0) return handler_.on_file_end();
    return {};
}

Result<void> TarStream::count_entry() {
    if (++entries_ > limits_.entries_max) {
        return base::fail(Code::payload_too_large, "the archive has more than {} entries",
                          limits_.entries_max);
    }
    return {};
}

Result<void> TarStream::begin_entry(const TarHead& entry) {
    DG_TRY(count_entry());
    if (entry.name.size() > limits_.name_bytes_max) {
        const std::string shown = escape_name(entry.name.substr(0, 200)) + "...";
        return base::fail_on(shown, Code::payload_too_large,
                             "entry {} has a name of {} bytes, at most {}", shown,
                             entry.name.size(), limits_.name_bytes_max);
    }
    DG_TRY(handler_.on_entry(entry));
    if (entry.type != '0') return {};
    file_left_ = entry.bytes;
    padding_left_ = tar_padding(entry.bytes).size();
    if (file_left_ == 0) return handler_.on_file_end();
    return {};
}

Result<void> TarStream::finish() const {
    // Some writers leave the end mark out; between two entries that is a whole archive too.
    const bool between = begun_ && block_.empty() && meta_left_ == 0 && file_left_ == 0 &&
                         padding_left_ == 0 && entries_ != 0;
    const bool unpacked = (!gzip_ || gzip_->at_end()) && (!zstd_ || zstd_->at_end());
    if ((ended_ || between) && unpacked) return {};
    return base::fail(Code::invalid_argument, "the archive is cut off after {} bytes", packed_);
}

}  // namespace sphere::files
