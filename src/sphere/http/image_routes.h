#pragma once
// Images over HTTP: /v1/sandbox-images. An upload lies in a file without a name until it is
// unpacked, so that a killed server leaves nothing of it.

#include <cstdint>
#include <string>

#include "base/api/call_pool.h"
#include "sphere/sphere.h"

namespace sphere {

struct ImageRoutesOptions {
    std::string upload_dir = "/tmp";  ///< on a disk that has room for an image
    std::uint64_t upload_bytes_max = 16ull << 30;
    std::size_t uploads_max = 4;  ///< waiting for the one that is taken at a time; then 429
};

class ImageRoutes {
public:
    /// `sphere` and `calls` outlive it.
    ImageRoutes(Sphere& sphere, base::api::CallPool& calls, ImageRoutesOptions options);

    void register_routes(base::http::Router& router);
    /// After the server's stop. Idempotent.
    void stop();

private:
    base::Result<base::http::Response> list() const;
    base::Result<base::http::Response> import(const base::http::Request& request,
                                              base::http::RequestBody& body);
    base::Result<base::http::Response> remove(const base::http::Request& request);

    Sphere& sphere_;
    base::api::CallPool& calls_;
    const ImageRoutesOptions options_;
    base::api::CallPool uploads_;
};

}  // namespace sphere
