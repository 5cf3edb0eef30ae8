#include "sphere/http/image_routes.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/api/error_answer.h"
#include "base/files/files.h"
#include "base/files/unique_fd.h"
#include "sphere/http/request_parts.h"
#include "sphere/http/spec_json.h"

namespace sphere {
namespace {

namespace json = base::json;
using base::Code;
using base::fail;
using base::fail_on;
using base::Result;
using base::http::Request;
using base::http::RequestBody;
using base::http::RequestBodyPtr;
using base::http::ResponderPtr;
using base::http::Response;

/// A file that nobody finds by name.
Result<base::UniqueFd> make_nameless(const std::string& folder) {
    DG_TRY(base::make_dirs(folder));
    std::string path = folder + "/.upload-XXXXXX";
    base::UniqueFd file(::mkostemp(path.data(), O_CLOEXEC));
    if (file && ::unlink(path.c_str()) == 0) return file;
    return fail(Code::unavailable, "{}: {}", path, std::strerror(errno));
}

Result<void> write_all(int file, std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t n = ::write(file, bytes.data(), bytes.size());
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) {
            return fail(errno == ENOSPC ? Code::resource_exhausted : Code::unavailable,
                        "the image cannot be written here: {}", std::strerror(errno));
        }
        bytes.remove_prefix(static_cast<std::size_t>(n));
    }
    return {};
}

}  // namespace

ImageRoutes::ImageRoutes(Sphere& sphere, base::api::CallPool& calls, ImageRoutesOptions options)
    : sphere_(sphere),
      calls_(calls),
      options_(std::move(options)),
      uploads_(1, options_.uploads_max) {}

void ImageRoutes::stop() {
    uploads_.stop();
}

void ImageRoutes::register_routes(base::http::Router& router) {
    calls_.route(router, "GET", "/v1/sandbox-images", [this](const Request&) { return list(); });
    calls_.route(router, "DELETE", "/v1/sandbox-images/{image...}",
                 [this](const Request& request) { return remove(request); });
    router.add_upload(
        "PUT", "/v1/sandbox-images/{image...}", options_.upload_bytes_max,
        [this](const Request& request, RequestBodyPtr body, const ResponderPtr& responder) {
            uploads_.post(responder, [this, request, body, responder] {
                auto response = import(request, *body);
                responder->send(response ? std::move(*response)
                                         : base::api::error_response(response.error()));
            });
        });
}

Result<Response> ImageRoutes::list() const {
    json::array data;
    for (const ImageInfo& image : sphere_.images()) data.push_back(to_json(image));
    return json_answer(200, {{"object", "list"}, {"data", std::move(data)}});
}

/// The body is the archive, as it is.
Result<Response> ImageRoutes::import(const Request& request, RequestBody& body) {
    const std::string name(request.param("image"));
    if (!is_image_reference(name) || name.starts_with("sha256:")) {
        return fail_on("image", Code::invalid_argument,
                       "'{}' is no name for an image: use up to 256 letters, digits and ._/:@+-, "
                       "as in python:3.12, and not sha256:",
                       name.substr(0, 64));
    }
    const base::UniqueFd file = DG_TRY(make_nameless(options_.upload_dir));
    for (;;) {
        const std::string piece = DG_TRY(body.next());
        if (piece.empty()) break;
        DG_TRY(write_all(file.get(), piece));
    }
    const std::string path = fmt::format("/proc/self/fd/{}", file.get());
    return json_answer(201, to_json(DG_TRY(sphere_.import_image(path, name))));
}

Result<Response> ImageRoutes::remove(const Request& request) {
    std::string word(request.param("image"));
    const auto all = sphere_.images();
    const auto fits = [&](const ImageInfo& image) {
        return image.name == word || image.digest == word || "sha256:" + image.digest == word;
    };
    const auto at = std::ranges::find_if(all, fits);
    if (at == all.end()) {
        return fail_on("image", Code::not_found,
                       "there is no image '{}'; GET /v1/sandbox-images lists them",
                       word.substr(0, 128));
    }
    DG_TRY(sphere_.remove_image(at->digest));
    return json_answer(
        200, {{"id", "sha256:" + at->digest}, {"object", "sandbox_image"}, {"deleted", true}});
}

}  // namespace sphere
