#include "app/otlp_http.h"

namespace app {

using base::Code;

base::Result<void> OtlpHttp::post(std::string_view body) {
    base::HttpClient::Request request;
    request.method = "POST";
    request.url = endpoint_;
    request.headers = {{"content-type", "application/json"}};
    request.body = body;
    request.timeout = std::chrono::seconds(10);
    const auto response = DG_TRY(client_.send(request));
    if (response.status >= 200 && response.status < 300) return {};
    // OTLP/HTTP: 429, 502, 503 and 504 may be tried again, other refusals are final.
    const bool again = response.status == 429 || (response.status >= 502 && response.status <= 504);
    return base::fail(again ? Code::unavailable : Code::invalid_argument,
                      "the span collector at {} answered {}", endpoint_, response.status);
}

}  // namespace app
