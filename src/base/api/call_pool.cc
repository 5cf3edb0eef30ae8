#include "base/api/call_pool.h"

#include <utility>

#include "base/api/error_answer.h"

namespace base::api {

using base::http::Request;
using base::http::ResponderPtr;

void CallPool::post(const ResponderPtr& responder, std::function<void()> call) {
    if (workers_.post(std::move(call))) return;
    responder->send(
        error_response({base::Code::resource_exhausted, "too many calls wait; try again", {}}));
}

void CallPool::route(base::http::Router& router, std::string_view method, std::string_view pattern,
                     Call call) {
    router.add(
        method, pattern,
        [this, call = std::move(call)](const Request& request, const ResponderPtr& responder) {
            post(responder, [call, request, responder] {
                auto response = call(request);
                responder->send(response ? std::move(*response) : error_response(response.error()));
            });
        });
}

}  // namespace base::api
