#include "sphere/files/gzip_stream.h"

#include <zlib.h>

#include <string>

#include "base/core/check.h"

namespace sphere::files {
namespace {

using base::Code;
using base::Result;

constexpr std::size_t kPieceBytes = 64u << 10;
constexpr int kGzipWindow = 15 + 16;

Bytef* in_pointer(std::string_view bytes) {
    return reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
}

}  // namespace

struct GzipReader::Impl {
    z_stream stream{};
    bool ended = false;
    std::string out = std::string(kPieceBytes, '\0');
    Impl() { DG_CHECK(inflateInit2(&stream, kGzipWindow) == Z_OK, "zlib has no memory"); }
    ~Impl() { inflateEnd(&stream); }
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;
};

GzipReader::GzipReader() : impl_(std::make_unique<Impl>()) {}
GzipReader::GzipReader(GzipReader&&) noexcept = default;
GzipReader::~GzipReader() = default;
bool GzipReader::at_end() const {
    return impl_->ended;
}

Result<void> GzipReader::feed(std::string_view packed, const ByteSink& sink) {
    z_stream& stream = impl_->stream;
    stream.next_in = in_pointer(packed);
    stream.avail_in = static_cast<uInt>(packed.size());
    while (stream.avail_in != 0) {
        if (impl_->ended) {
            inflateReset(&stream);
            impl_->ended = false;
        }
        stream.next_out = reinterpret_cast<Bytef*>(impl_->out.data());
        stream.avail_out = static_cast<uInt>(impl_->out.size());
        const int status = inflate(&stream, Z_NO_FLUSH);
        if (status != Z_OK && status != Z_STREAM_END && status != Z_BUF_ERROR) {
            return base::fail(Code::invalid_argument, "not gzip: {}",
                              stream.msg == nullptr ? "damaged" : stream.msg);
        }
        const std::size_t made = impl_->out.size() - stream.avail_out;
        impl_->ended = status == Z_STREAM_END;
        if (made != 0) DG_TRY(sink(std::string_view(impl_->out).substr(0, made)));
    }
    // What did not fit into the last piece.
    while (!impl_->ended) {
        stream.next_out = reinterpret_cast<Bytef*>(impl_->out.data());
        stream.avail_out = static_cast<uInt>(impl_->out.size());
        const int status = inflate(&stream, Z_NO_FLUSH);
        const std::size_t made = impl_->out.size() - stream.avail_out;
        if (made == 0) break;
        impl_->ended = status == Z_STREAM_END;
        DG_TRY(sink(std::string_view(impl_->out).substr(0, made)));
    }
    return {};
}

struct GzipWriter::Impl {
    z_stream stream{};
    std::string out = std::string(kPieceBytes, '\0');
    Impl() {
        DG_CHECK(deflateInit2(&stream, 6, Z_DEFLATED, kGzipWindow, 8, Z_DEFAULT_STRATEGY) == Z_OK,
                 "zlib has no memory");
    }
    ~Impl() { deflateEnd(&stream); }
    Impl(const Impl&) = delete;
    Impl& operator=(const Impl&) = delete;
};

GzipWriter::GzipWriter() : impl_(std::make_unique<Impl>()) {}
GzipWriter::~GzipWriter() = default;

Result<void> GzipWriter::feed(std::string_view plain, const ByteSink& sink, bool last) {
    z_stream& stream = impl_->stream;
    stream.next_in = in_pointer(plain);
    stream.avail_in = static_cast<uInt>(plain.size());
    do {
        stream.next_out = reinterpret_cast<Bytef*>(impl_->out.data());
        stream.avail_out = static_cast<uInt>(impl_->out.size());
        deflate(&stream, last ? Z_FINISH : Z_NO_FLUSH);
        const std::size_t made = impl_->out.size() - stream.avail_out;
        if (made != 0) DG_TRY(sink(std::string_view(impl_->out).substr(0, made)));
    } while (stream.avail_out == 0);
    return {};
}

}  // namespace sphere::files
