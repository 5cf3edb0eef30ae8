#include "base/http/client.h"

#include <algorithm>
#include <cctype>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "base/core/check.h"
#include "base/http/curl_library.h"

namespace base {
namespace {

constexpr long kRedirectsMax = 10;

struct EasyDeleter {
    void operator()(CURL* easy) const { curl().easy_cleanup(easy); }
};
using Easy = std::unique_ptr<CURL, EasyDeleter>;

struct ListDeleter {
    void operator()(curl_slist* list) const { curl().slist_free_all(list); }
};
using HeaderList = std::unique_ptr<curl_slist, ListDeleter>;

std::string_view trim(std::string_view text) {
    const auto blank = [](char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; };
    while (!text.empty() && blank(text.front())) text.remove_prefix(1);
    while (!text.empty() && blank(text.back())) text.remove_suffix(1);
    return text;
}

bool same_name(std::string_view a, std::string_view b) {
    return std::ranges::equal(a, b, [](char x, char y) {
        return std::tolower(static_cast<unsigned char>(x)) ==
               std::tolower(static_cast<unsigned char>(y));
    });
}

/// Scheme, host and path of a URL: what an error may show. User names and queries carry secrets.
std::string public_part(std::string_view url) {
    url = url.substr(0, url.find_first_of("?#"));
    const std::size_t scheme = url.find("://");
    const std::size_t host = scheme == std::string_view::npos ? 0 : scheme + 3;
    const std::size_t at = url.substr(0, url.find('/', host)).rfind('@');
    if (at == std::string_view::npos || at < host) return std::string(url);
    return fmt::format("{}{}", url.substr(0, host), url.substr(at + 1));
}

/// One exchange while it runs; libcurl's callbacks get a pointer to it.
struct Exchange {
    const HttpClient::Request& request;
    const HttpClient::BodySink& sink;
    HttpClient::Response response;
    CURL* easy = nullptr;
    std::uint64_t body_bytes = 0;
    bool too_large = false;
    bool refused = false;  // by the sink

    bool cancelled() const { return refused || (request.cancelled && request.cancelled()); }
};

std::size_t on_header(char* data, std::size_t size, std::size_t count, void* user) {
    auto& exchange = *static_cast<Exchange*>(user);
    const std::string_view line = trim({data, size * count});
    if (line.starts_with("HTTP/")) {  // a new head: after a redirect or an interim answer
        exchange.response.headers.clear();
        exchange.response.status = 0;
        return size * count;
    }
    const std::size_t colon = line.find(':');
    if (colon != std::string_view::npos) {
        exchange.response.headers.emplace_back(trim(line.substr(0, colon)),
                                               trim(line.substr(colon + 1)));
    }
    return size * count;
}

std::size_t on_body(char* data, std::size_t size, std::size_t count, void* user) {
    auto& exchange = *static_cast<Exchange*>(user);
    const std::size_t bytes = size * count;
    if (exchange.response.status == 0) {
        long status = 0;
        curl().easy_getinfo(exchange.easy, CURLINFO_RESPONSE_CODE, &status);
        exchange.response.status = static_cast<int>(status);
    }
    exchange.body_bytes += bytes;
    if (exchange.sink) {
        const auto* first = reinterpret_cast<const std::byte*>(data);
        exchange.refused = !exchange.sink(exchange.response, {first, bytes});
        return exchange.refused ? 0 : bytes;
    }
    exchange.too_large = exchange.body_bytes > exchange.request.body_bytes_max;
    if (exchange.too_large) return 0;
    exchange.response.body.append(data, bytes);
    return bytes;
}

std::size_t on_send(char* data, std::size_t size, std::size_t count, void* user) {
    auto& exchange = *static_cast<Exchange*>(user);
    const auto given = exchange.request.body_source({data, size * count});
    exchange.refused = exchange.refused || !given;
    return given.value_or(CURL_READFUNC_ABORT);
}

int on_progress(void* user, curl_off_t, curl_off_t, curl_off_t, curl_off_t) {
    return static_cast<const Exchange*>(user)->cancelled() ? 1 : 0;
}

Code code_for(CURLcode code) {
    switch (code) {
        case CURLE_URL_MALFORMAT:
        case CURLE_UNSUPPORTED_PROTOCOL:
            return Code::invalid_argument;
        case CURLE_OPERATION_TIMEDOUT:
            return Code::deadline_exceeded;
        case CURLE_TOO_MANY_REDIRECTS:
        case CURLE_PEER_FAILED_VERIFICATION:
        case CURLE_SSL_CACERT_BADFILE:
            return Code::failed_precondition;
        case CURLE_OUT_OF_MEMORY:
            return Code::resource_exhausted;
        default:
            return Code::unavailable;
    }
}

std::string_view advice_for(CURLcode code) {
    switch (code) {
        case CURLE_COULDNT_RESOLVE_HOST:
            return "; check the name and the network";
        case CURLE_COULDNT_RESOLVE_PROXY:
            return "; check the proxy option";
        case CURLE_PEER_FAILED_VERIFICATION:
            return "; a proxy may be in between: give its certificate with the CA option";
        default:
            return "";
    }
}

std::unexpected<Error> failure(const Exchange& exchange, CURLcode code, const char* detail) {
    const std::string url = public_part(exchange.request.url);
    if (exchange.too_large) {
        return fail_on(url, Code::payload_too_large, "{}: the answer is over {} bytes", url,
                       exchange.request.body_bytes_max);
    }
    if (exchange.refused || code == CURLE_ABORTED_BY_CALLBACK) {
        return fail_on(url, Code::cancelled, "{}: stopped after {} bytes", url,
                       exchange.body_bytes);
    }
    const std::string_view words = *detail != '\0' ? detail : curl().easy_strerror(code);
    return fail_on(url, code_for(code), "{}: {} (after {} bytes){}", url, words,
                   exchange.body_bytes, advice_for(code));
}

void set_method(CURL* easy, const HttpClient::Request& request) {
    const std::string& method = request.method;
    if (method == "HEAD") {
        curl().easy_setopt(easy, CURLOPT_NOBODY, 1L);
        return;
    }
    if (request.body_source) {
        curl().easy_setopt(easy, CURLOPT_UPLOAD, 1L);
        curl().easy_setopt(easy, CURLOPT_READFUNCTION, on_send);
        curl().easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
        curl().easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method.c_str());
        return;
    }
    const bool carries = method == "POST" || method == "PUT" || method == "PATCH";
    if (carries || !request.body.empty()) {
        curl().easy_setopt(easy, CURLOPT_POST, 1L);
        curl().easy_setopt(easy, CURLOPT_POSTFIELDS, request.body.data());
        curl().easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                           static_cast<curl_off_t>(request.body.size()));
    }
    if (method != "GET" && method != "POST") {
        curl().easy_setopt(easy, CURLOPT_CUSTOMREQUEST, method.c_str());
    }
}

Result<HeaderList> header_list(const HttpClient::Request& request) {
    HeaderList list;
    // libcurl would wait for `100 Continue` before sending a large body; many servers never answer.
    std::vector<std::string> lines = {"Expect:"};
    if (request.body_source) lines.emplace_back("Transfer-Encoding: chunked");
    for (const auto& [name, value] : request.headers) {
        const bool broken = (name + value).find_first_of("\r\n") != std::string::npos;
        if (broken || name.empty()) {
            return fail(Code::invalid_argument, "header `{}` holds a line break or no name",
                        name.substr(0, name.find_first_of("\r\n")));
        }
        lines.push_back(value.empty() ? name + ";" : fmt::format("{}: {}", name, value));
    }
    for (const std::string& line : lines) {
        curl_slist* grown = curl().slist_append(list.get(), line.c_str());
        DG_CHECK(grown != nullptr, "out of memory for headers");
        static_cast<void>(list.release());
        list.reset(grown);
    }
    return list;
}

}  // namespace

struct HttpClient::Impl {
    Options options;
    std::mutex mutex;
    std::vector<Easy> idle;  // guarded by mutex; each keeps its connections open

    Easy take() {
        const std::lock_guard lock(mutex);
        if (idle.empty()) return Easy(curl().easy_init());
        Easy easy = std::move(idle.back());
        idle.pop_back();
        curl().easy_reset(easy.get());  // options only: connections stay
        return easy;
    }
    void give_back(Easy easy) {
        const std::lock_guard lock(mutex);
        idle.push_back(std::move(easy));
    }
    void set_options(CURL* easy, const Request& request) const;
};

void HttpClient::Impl::set_options(CURL* easy, const Request& request) const {
    curl().easy_setopt(easy, CURLOPT_URL, request.url.c_str());
    curl().easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
    curl().easy_setopt(easy, CURLOPT_REDIR_PROTOCOLS_STR, "http,https");
    curl().easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
    curl().easy_setopt(easy, CURLOPT_USERAGENT, options.user_agent.c_str());
    curl().easy_setopt(easy, CURLOPT_FOLLOWLOCATION, request.follow_redirects ? 1L : 0L);
    curl().easy_setopt(easy, CURLOPT_MAXREDIRS, kRedirectsMax);
    // An empty string also keeps libcurl from looking at *_proxy in the environment.
    curl().easy_setopt(easy, CURLOPT_PROXY, options.proxy.c_str());
    if (!options.unix_socket.empty()) {
        curl().easy_setopt(easy, CURLOPT_UNIX_SOCKET_PATH, options.unix_socket.c_str());
    }
    if (!options.ca_file.empty()) curl().easy_setopt(easy, CURLOPT_CAINFO, options.ca_file.c_str());
    curl().easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                       static_cast<long>(options.connect_timeout.count()));
    if (request.timeout.count() > 0) {
        curl().easy_setopt(easy, CURLOPT_TIMEOUT_MS, static_cast<long>(request.timeout.count()));
    }
    if (options.stall_timeout.count() > 0) {
        const auto seconds =
            std::max<long>(1, static_cast<long>(options.stall_timeout.count() / 1000));
        curl().easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
        curl().easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, seconds);
    }
    if (request.range) {
        const std::string range = fmt::format("{}-{}", request.range->first, request.range->second);
        curl().easy_setopt(easy, CURLOPT_RANGE, range.c_str());  // libcurl copies it
    }
    set_method(easy, request);
}

HttpClient::HttpClient() : HttpClient(Options{}) {}
HttpClient::HttpClient(Options options) : impl_(std::make_unique<Impl>()) {
    static_cast<void>(curl_library());  // send() says what it says
    impl_->options = std::move(options);
}
HttpClient::~HttpClient() = default;
HttpClient::HttpClient(HttpClient&&) noexcept = default;
HttpClient& HttpClient::operator=(HttpClient&&) noexcept = default;

std::optional<std::string_view> HttpClient::Response::header(std::string_view name) const {
    for (const auto& [known, value] : headers) {
        if (same_name(known, name)) return value;
    }
    return std::nullopt;
}

Result<HttpClient::Response> HttpClient::send(const Request& request, const BodySink& sink) const {
    DG_TRY(curl_library());
    const HeaderList headers = DG_TRY(header_list(request));
    Easy easy = impl_->take();
    if (!easy) return fail(Code::resource_exhausted, "libcurl cannot make a handle");
    Exchange exchange{request, sink, {}, easy.get(), 0, false, false};
    char detail[CURL_ERROR_SIZE] = "";
    impl_->set_options(easy.get(), request);
    curl().easy_setopt(easy.get(), CURLOPT_HTTPHEADER, headers.get());
    curl().easy_setopt(easy.get(), CURLOPT_ERRORBUFFER, detail);
    curl().easy_setopt(easy.get(), CURLOPT_HEADERFUNCTION, on_header);
    curl().easy_setopt(easy.get(), CURLOPT_HEADERDATA, &exchange);
    curl().easy_setopt(easy.get(), CURLOPT_WRITEFUNCTION, on_body);
    curl().easy_setopt(easy.get(), CURLOPT_WRITEDATA, &exchange);
    curl().easy_setopt(easy.get(), CURLOPT_READDATA, &exchange);
    curl().easy_setopt(easy.get(), CURLOPT_NOPROGRESS, 0L);
    curl().easy_setopt(easy.get(), CURLOPT_XFERINFOFUNCTION, on_progress);
    curl().easy_setopt(easy.get(), CURLOPT_XFERINFODATA, &exchange);
    const CURLcode code = curl().easy_perform(easy.get());
    if (code != CURLE_OK) return failure(exchange, code, detail);  // the handle is not reused
    long status = 0;
    curl().easy_getinfo(easy.get(), CURLINFO_RESPONSE_CODE, &status);
    exchange.response.status = static_cast<int>(status);
    const char* url = nullptr;
    curl().easy_getinfo(easy.get(), CURLINFO_EFFECTIVE_URL, &url);
    exchange.response.url = url != nullptr ? url : request.url;
    impl_->give_back(std::move(easy));
    return std::move(exchange.response);
}

}  // namespace base
