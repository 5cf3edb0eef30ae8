#include "sphere/http/file_routes.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <utility>

#include "base/api/error_answer.h"
#include "base/json/object_reader.h"
#include "sphere/files/beneath.h"
#include "sphere/files/name_text.h"
#include "sphere/http/body_stream.h"
#include "sphere/http/byte_range.h"
#include "sphere/http/file_json.h"
#include "sphere/http/request_parts.h"
#include "sphere/tools/box_files.h"

namespace sphere {
namespace {

namespace json = base::json;
using base::Code;
using base::fail_on;
using base::ObjectReader;
using base::Result;
using base::http::Headers;
using base::http::Request;
using base::http::RequestBody;
using base::http::RequestBodyPtr;
using base::http::ResponderPtr;
using base::http::Response;
using Kind = FileAccess::Kind;

constexpr std::size_t kPieceBytes = 256 * 1024;
constexpr std::uint64_t kWholeBytesMax = 256 * 1024;  // sent from memory at once

/// A box's file is nobody's web page: the console has the same origin.
Headers file_headers(std::string_view type) {
    return {{"Content-Type", std::string(type)},
            {"X-Content-Type-Options", "nosniff"},
            {"Content-Security-Policy", "sandbox; default-src 'none'"},
            {"Content-Disposition", "attachment"},
            {"Cache-Control", "no-store"}};
}

std::string name_of(const Request& request) {
    return std::string(request.param("path"));
}

Result<std::string> read_piece(int file, std::uint64_t offset, std::size_t bytes) {
    std::string piece(bytes, '\0');
    ssize_t got = 0;
    do {
        got = ::pread(file, piece.data(), bytes, static_cast<off_t>(offset));
    } while (got < 0 && errno == EINTR);
    if (got < 0) return base::fail(Code::unavailable, "reading failed: error {}", errno);
    piece.resize(static_cast<std::size_t>(got));
    return piece;
}

Result<std::uint32_t> mode_of(const Request& request) {
    const auto text = request.query_param("mode");
    if (!text) return 0;
    std::uint32_t mode = 0;
    const auto [end, error] = std::from_chars(text->data(), text->data() + text->size(), mode, 8);
    if (error == std::errc() && end == text->data() + text->size() && mode != 0 && mode <= 0777) {
        return mode;
    }
    return fail_on("mode", Code::invalid_argument,
                   "'mode' is '{}', expected permission bits in octal such as 755",
                   text->substr(0, 16));
}

std::uint64_t length_of(const Request& request) {
    const std::string_view text = request.headers.get("Content-Length");
    std::uint64_t bytes = 0;
    std::from_chars(text.data(), text.data() + text.size(), bytes);
    return bytes;
}

}  // namespace

FileRoutes::FileRoutes(Sphere& sphere, base::api::CallPool& calls, const FileRoutesOptions& options)
    : sphere_(sphere),
      calls_(calls),
      options_(options),
      transfers_(options.transfers, options.transfers_max),
      watches_(sphere, options.watches_max) {}

void FileRoutes::stop() {
    watches_.stop();
    transfers_.stop();
}

void FileRoutes::register_routes(base::http::Router& router) {
    const auto get_any = [this](const Request& request, const ResponderPtr& responder) {
        transfers_.post(responder, [this, request, responder] { get(request, responder); });
    };
    const auto upload = [this, &router](
                            std::string_view pattern,
                            Result<Response> (FileRoutes::*take)(const Request&, RequestBody&)) {
        router.add_upload(
            "PUT", pattern, options_.upload_bytes_max,
            [this, take](const Request& request, RequestBodyPtr body,
                         const ResponderPtr& responder) {
                transfers_.post(responder, [this, take, request, body, responder] {
                    auto response = (this->*take)(request, *body);
                    responder->send(response ? std::move(*response)
                                             : base::api::error_response(response.error()));
                });
            });
    };
    // The folder itself has an empty name, with and without the slash.
    for (const char* pattern : {"/v1/sandboxes/{id}/files", "/v1/sandboxes/{id}/files/"}) {
        router.add("GET", pattern, get_any);
    }
    constexpr const char* kFile = "/v1/sandboxes/{id}/files/{path...}";
    router.add("GET", kFile, get_any);
    upload(kFile, &FileRoutes::put);
    calls_.route(router, "DELETE", kFile, [this](const Request& r) { return remove(r); });
    calls_.route(router, "POST", kFile, [this](const Request& r) { return change(r); });
    constexpr const char* kArchive = "/v1/sandboxes/{id}/archive";
    router.add("GET", kArchive, [this](const Request& request, const ResponderPtr& responder) {
        transfers_.post(responder, [this, request, responder] { get_archive(request, responder); });
    });
    upload(kArchive, &FileRoutes::put_archive);
    router.add("GET", "/v1/sandboxes/{id}/watch",
               [this](const Request& request, const ResponderPtr& responder) {
                   calls_.post(responder, [this, request, responder] {
                       const auto watching = watch(request, responder);
                       if (!watching) responder->send(base::api::error_response(watching.error()));
                   });
               });
}

Result<files::Workspace> FileRoutes::admit(const Request& request, Kind kind, std::string_view name,
                                           std::uint64_t bytes) {
    const SandboxInfo info = DG_TRY(find_box(sphere_, request));
    return tools::open_files(sphere_, info.id, {kind, std::string(name), bytes});
}

void FileRoutes::get(const Request& request, const ResponderPtr& responder) {
    const auto done = [&]() -> Result<void> {
        const std::string name = name_of(request);
        if (DG_TRY(query_flag(request, "stat"))) {
            const auto workspace = DG_TRY(admit(request, Kind::list, name));
            responder->send(json_answer(200, to_json(DG_TRY(workspace.stat(name)))));
            return {};
        }
        auto workspace = DG_TRY(admit(request, Kind::read, name));
        const auto parts = DG_TRY(files::split_name(name));
        const base::UniqueFd file = DG_TRY(files::open_beneath(workspace.root(), parts, O_RDONLY));
        struct stat about {};
        if (::fstat(file.get(), &about) != 0) return files::fail_name(errno, "stat", parts);
        if (S_ISDIR(about.st_mode)) {
            responder->send(DG_TRY(list(request, workspace, name)));
            return {};
        }
        if (!S_ISREG(about.st_mode)) {
            return fail_on("path", Code::failed_precondition, "{} is neither file nor folder",
                           files::escape_name(name));
        }
        return send_file(request, responder, file.get(), static_cast<std::uint64_t>(about.st_size));
    }();
    if (!done) responder->send(base::api::error_response(done.error()));
}

Result<Response> FileRoutes::list(const Request& request, files::Workspace& workspace,
                                  const std::string& name) {
    const files::ListOptions options{.recursive = DG_TRY(query_flag(request, "recursive")),
                                     .entries_max = options_.entries_max};
    return json_answer(200, to_json(DG_TRY(workspace.list(name, options))));
}

Result<void> FileRoutes::send_file(const Request& request, const ResponderPtr& responder, int file,
                                   std::uint64_t size) {
    const RangeAnswer asked = read_range(request.headers.get("Range"), size);
    Headers headers = file_headers("application/octet-stream");
    headers.add("Accept-Ranges", "bytes");
    if (asked.kind == RangeKind::unsatisfiable) {
        Response response = base::api::error_response(
            {Code::invalid_argument, fmt::format("the file has {} bytes", size), "Range"});
        response.status = 416;
        response.headers.add("Content-Range", fmt::format("bytes */{}", size));
        responder->send(std::move(response));
        return {};
    }
    const auto [first, count] = asked.range;
    if (asked.kind == RangeKind::part) {
        headers.add("Content-Range", fmt::format("bytes {}-{}/{}", first, first + count - 1, size));
    }
    const int status = asked.kind == RangeKind::part ? 206 : 200;
    if (count <= kWholeBytesMax) {
        std::string body = DG_TRY(read_piece(file, first, count));
        responder->send({status, std::move(headers), std::move(body), std::nullopt});
        return {};
    }
    headers.add("Content-Length", std::to_string(count));
    const auto stream = BodyStream::begin(responder, status, std::move(headers));
    if (request.method == "HEAD") return {};
    for (std::uint64_t done = 0; done < count;) {
        const auto piece =
            read_piece(file, first + done, std::min<std::uint64_t>(kPieceBytes, count - done));
        // A file that shrinks meanwhile cannot be what was announced.
        if (!piece || piece->empty() || !stream->write(*piece)) {
            stream->cut();
            return {};
        }
        done += piece->size();
    }
    stream->end();
    return {};
}

Result<Response> FileRoutes::put(const Request& request, RequestBody& body) {
    const std::string name = name_of(request);
    files::WriteOptions options;
    options.mode = DG_TRY(mode_of(request));
    options.replace = request.query_param("replace").value_or("true") != "false";
    const auto workspace = DG_TRY(admit(request, Kind::write, name, length_of(request)));
    auto writer = DG_TRY(files::FileWriter::create(workspace, name, options));
    for (;;) {
        const std::string piece = DG_TRY(body.next());
        if (piece.empty()) break;
        DG_TRY(writer.write(piece));
    }
    DG_TRY(writer.commit());
    return json_answer(201, to_json(DG_TRY(workspace.stat(name))));
}

Result<Response> FileRoutes::remove(const Request& request) {
    const std::string name = name_of(request);
    const bool recursive = DG_TRY(query_flag(request, "recursive"));
    const auto workspace = DG_TRY(admit(request, Kind::remove, name));
    DG_TRY(workspace.remove(name, recursive));
    return json_answer(200, {{"name", files::escape_name(name)}, {"deleted", true}});
}

/// {"action": "mkdir"} or {"action": "rename", "to": NAME, "replace": false}.
Result<Response> FileRoutes::change(const Request& request) {
    enum class Action : std::uint8_t { none, mkdir, rename } action = Action::none;
    std::string to;
    bool replace = false;
    const json::object body = DG_TRY(body_of(request));
    ObjectReader in(body);
    in.choice<Action>("action", action, {{"mkdir", Action::mkdir}, {"rename", Action::rename}});
    in.text("to", to, 16 * 1024);
    in.flag("replace", replace);
    if (action == Action::none) in.fault("action", "must be mkdir or rename");
    if ((action == Action::rename) != in.has("to")) {
        in.fault("to", "is the new name, and only for rename");
    }
    DG_TRY(in.done());
    const std::string name = name_of(request);
    if (action == Action::mkdir) {
        const auto workspace = DG_TRY(admit(request, Kind::write, name));
        DG_TRY(workspace.make_folder(name));
        return json_answer(201, to_json(DG_TRY(workspace.stat(name))));
    }
    const std::string new_name = DG_TRY(files::unescape_name(to));
    const auto workspace = DG_TRY(admit(request, Kind::rename, name));
    DG_TRY(admit(request, Kind::rename, new_name));
    DG_TRY(workspace.rename(name, new_name, replace));
    return json_answer(200, to_json(DG_TRY(workspace.stat(new_name))));
}

void FileRoutes::get_archive(const Request& request, const ResponderPtr& responder) {
    std::shared_ptr<BodyStream> stream;
    const auto done = [&]() -> Result<void> {
        const std::string name = request.query_param("path").value_or("");
        const bool gzip = DG_TRY(query_flag(request, "gzip"));
        const auto workspace = DG_TRY(admit(request, Kind::read, name));
        const auto sink = [&](std::string_view bytes) -> Result<void> {
            // The head waits for the first bytes: until then an error can still be told as one.
            if (!stream) {
                stream = BodyStream::begin(
                    responder, 200, file_headers(gzip ? "application/gzip" : "application/x-tar"));
            }
            if (stream->write(bytes)) return {};
            return base::fail(Code::cancelled, "the client left");
        };
        const files::PackOptions options{.gzip = gzip, .limits = options_.archive};
        DG_TRY(files::pack(workspace, name, sink, options));
        return {};
    }();
    if (done && stream) {
        stream->end();
    } else if (stream) {
        stream->cut();
    } else if (!done) {
        responder->send(base::api::error_response(done.error()));
    }
}

Result<Response> FileRoutes::put_archive(const Request& request, RequestBody& body) {
    const std::string folder = request.query_param("path").value_or("");
    const auto workspace = DG_TRY(admit(request, Kind::write, folder, length_of(request)));
    if (!folder.empty()) DG_TRY(workspace.make_folder(folder));
    auto unpacker = DG_TRY(files::Unpacker::create(workspace, folder, options_.archive));
    for (;;) {
        const std::string piece = DG_TRY(body.next());
        if (piece.empty()) break;
        DG_TRY(unpacker.feed(piece));
    }
    return json_answer(200, to_json(DG_TRY(unpacker.finish())));
}

Result<void> FileRoutes::watch(const Request& request, const ResponderPtr& responder) {
    const std::string name = request.query_param("path").value_or("");
    const files::WatchOptions options{.recursive = DG_TRY(query_flag(request, "recursive"))};
    const auto workspace = DG_TRY(admit(request, Kind::watch, name));
    auto watcher = DG_TRY(files::Watcher::start(workspace, name, options));
    return watches_.add(std::string(request.param("id")), std::move(watcher), responder);
}

}  // namespace sphere
