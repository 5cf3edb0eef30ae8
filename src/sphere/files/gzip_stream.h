#pragma once
// gzip in and out, piece by piece. zlib stays in the .cc.

#include <cstdint>
#include <functional>
#include <memory>
#include <string_view>

#include "base/core/result.h"

namespace sphere::files {

using ByteSink = std::function<base::Result<void>(std::string_view bytes)>;

class GzipReader {
public:
    /// The sink gets at most 64 KiB at a time, so that it can stop a bomb early.
    GzipReader();
    GzipReader(GzipReader&&) noexcept;
    ~GzipReader();
    /// Members one after the other are one stream. Errors: invalid_argument; the sink's.
    base::Result<void> feed(std::string_view packed, const ByteSink& sink);
    bool at_end() const;  ///< the last member is complete

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

class GzipWriter {
public:
    GzipWriter();
    ~GzipWriter();
    base::Result<void> feed(std::string_view plain, const ByteSink& sink, bool last = false);

private:
    struct Impl;
    std::unique_ptr<Impl> impl_;
};

}  // namespace sphere::files
