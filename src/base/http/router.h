#pragma once
// Which handler answers a method and path. Pure: no sockets, so that tests ask it directly.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/http/message.h"
#include "base/http/request_body.h"

namespace base::http {

class Responder;
using ResponderPtr = std::shared_ptr<Responder>;

/// Called on a network thread once the whole request is here; must not block. It may answer at
/// once or keep the responder and answer later from any thread. Dropping it unanswered gives 500.
using Handler = std::function<void(const Request&, const ResponderPtr&)>;

class Router {
public:
    /// `pattern`: "/v1/models", "/v1/models/{id}" (one segment) or "/files/{path...}" (the rest,
    /// not empty), which literal segments may follow: "/models/{id...}/load". Literal segments win
    /// over parameters. Pre: the pair is not routed yet.
    void add(std::string_view method, std::string_view pattern, Handler handler);
    /// The same for a body that is taken in pieces, of at most `bytes_max` in all;
    /// ServerLimits::body_bytes_max does not bound it.
    void add_upload(std::string_view method, std::string_view pattern, std::uint64_t bytes_max,
                    UploadHandler handler);
    /// Answers what no pattern matches (static files); without one the server answers 404 itself.
    void set_fallback(Handler handler) { fallback_ = std::move(handler); }

    struct Upload {
        UploadHandler handler;
        std::uint64_t bytes_max = 0;
    };
    struct Match {
        const Handler* handler = nullptr;  ///< null: see `upload`, then `allowed`
        const Upload* upload = nullptr;
        std::string route;
        std::vector<std::pair<std::string, std::string>> params;
        std::string allowed;  ///< "GET, HEAD, OPTIONS" when only the method is wrong
    };
    /// HEAD is served by GET's handler when it has none of its own.
    Match match(std::string_view method, std::string_view path) const;
    const Handler* fallback() const { return fallback_ ? &fallback_ : nullptr; }
    std::vector<std::pair<std::string, std::string>> routes()
        const;  ///< (method, pattern) as added

private:
    struct Route {
        std::string pattern;
        std::vector<std::string> segments;
        std::vector<std::pair<std::string, Handler>> methods;
        std::vector<std::pair<std::string, std::unique_ptr<Upload>>> uploads;
    };
    Route& route_of(std::string_view method, std::string_view pattern);
    std::vector<Route> routes_;
    Handler fallback_;
};

}  // namespace base::http
