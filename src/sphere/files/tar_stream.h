#pragma once
// A tar, tar.gz or tar.zst as entries, whatever pieces it comes in: who unpacks sees heads and
// content.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/core/result.h"
#include "sphere/files/archive.h"
#include "sphere/files/gzip_stream.h"
#include "sphere/files/tar_format.h"
#include "sphere/files/zstd_stream.h"

namespace sphere::files {

class TarHandler {
public:
    virtual ~TarHandler() = default;
    /// Of a regular file `entry.bytes` of content follow, then file_ended; of others nothing.
    virtual base::Result<void> on_entry(const TarHead& entry) = 0;
    virtual base::Result<void> on_content(std::string_view bytes) = 0;
    virtual base::Result<void> on_file_end() = 0;
};

/// Checks entries_max, name_bytes_max and ratio_max; what bounds trees is the handler's to check.
class TarStream {
public:
    TarStream(const ArchiveLimits& limits, TarHandler& handler)
        : limits_(limits), handler_(handler) {}

    /// gzip and zstd are told by their first bytes. Errors: invalid_argument, payload_too_large,
    /// the handler's.
    base::Result<void> feed(std::string_view bytes);
    /// Errors: invalid_argument when the archive was cut off.
    base::Result<void> finish() const;

private:
    base::Result<void> feed_begun(std::string_view bytes);
    base::Result<void> take_plain(std::string_view bytes);
    base::Result<void> take(std::string_view bytes);
    base::Result<void> take_head(std::string_view& bytes);
    base::Result<void> take_meta(std::string_view& bytes);
    base::Result<void> take_content(std::string_view& bytes);
    base::Result<void> begin_entry(const TarHead& entry);
    base::Result<void> count_entry();

    const ArchiveLimits limits_;
    TarHandler& handler_;
    bool begun_ = false, ended_ = false;
    std::string first_;  ///< until four bytes tell what it is packed with
    std::optional<GzipReader> gzip_;
    std::optional<ZstdReader> zstd_;
    std::uint64_t packed_ = 0, plain_ = 0;
    TarHeadReader heads_;
    std::string block_;  ///< of a head, or a meta entry's content, as far as it came
    std::uint64_t meta_left_ = 0, meta_bytes_ = 0, file_left_ = 0, padding_left_ = 0;
    std::uint64_t entries_ = 0;
};

}  // namespace sphere::files
