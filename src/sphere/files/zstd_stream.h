#pragma once
// zstd in, piece by piece. libzstd stays in the .cc.

#include <memory>
#include <string_view>

#include "base/core/result.h"
#include "sphere/files/gzip_stream.h"

namespace sphere::files {

/// What a zstd stream begins with.
constexpr std::string_view kZstdMagic = "\x28\xb5\x2f\xfd";

class ZstdReader {
public:
    /// The sink gets at most 128 KiB at a time, so that it can stop a bomb early. A frame that
    /// wants a window over 128 MiB is refused.
    ZstdReader();
    ZstdReader(ZstdReader&&) noexcept;
    ~ZstdReader();
    /// Frames one after the other are one stream. Errors: invalid_argument; the sink's.
    base::Result<void> feed(std::string_view packed, const ByteSink& sink);
    bool at_end() const;  ///< the last frame is complete

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace sphere::files
