#include "sphere/files/zstd_stream.h"

#include <zstd.h>

#include <string>

#include "base/core/check.h"

namespace sphere::files {
namespace {

constexpr int kWindowLogMax = 27;

}  // namespace

struct ZstdReader::Impl {
    ZSTD_DCtx* const context = ZSTD_createDCtx();
    bool ended = false;
    std::string out = std::string(ZSTD_DStreamOutSize(), '\0');
    Impl() {
        DG_CHECK(context != nullptr, "zstd has no memory");
        ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax, kWindowLogMax);
    }
    ~Impl() { ZSTD_freeDCtx(context); }
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;
};

ZstdReader::ZstdReader() : impl_(std::make_unique<Impl>()) {}
ZstdReader::ZstdReader(ZstdReader&&) noexcept = default;
ZstdReader::~ZstdReader() = default;
bool ZstdReader::at_end() const {
    return impl_->ended;
}

base::Result<void> ZstdReader::feed(std::string_view packed, const ByteSink& sink) {
    ZSTD_inBuffer in{packed.data(), packed.size(), 0};
    for (bool more = true; in.pos < in.size || more;) {
        ZSTD_outBuffer out{impl_->out.data(), impl_->out.size(), 0};
        const std::size_t hint = ZSTD_decompressStream(impl_->context, &out, &in);
        if (ZSTD_isError(hint) != 0) {
            return base::fail(base::Code::invalid_argument, "not zstd that can be read: {}",
                              ZSTD_getErrorName(hint));
        }
        // A new frame has begun as soon as a byte of it was taken.
        impl_->ended = hint == 0;
        if (out.pos != 0) DG_TRY(sink(std::string_view(impl_->out).substr(0, out.pos)));
        more = out.pos == out.size && hint != 0;
    }
    return {};
}

}  // namespace sphere::files
