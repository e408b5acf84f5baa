"""What the catalogue's own pages have in common: an address, who may open it, a row they are of."""

from collections.abc import Callable
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import models
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from unfold.admin import ModelAdmin

View = Callable[..., HttpResponse]


class Pages(ModelAdmin):
    """An admin with pages beside Django's own."""

    def page(self, route: str, view: View, name: str) -> URLPattern:
        """``name``: of the address, after the model's."""
        opts = self.opts
        named = f"{opts.app_label}_{opts.model_name}_{name}"
        return path(route, self.admin_site.admin_view(view), name=named)

    def row(self, request: HttpRequest, object_id: str) -> Any:
        """The row, for whoever may see it. Raises Http404 or PermissionDenied."""
        row = self.get_object(request, object_id)
        if row is None:
            raise Http404
        if not self.has_view_permission(request, row):
            raise PermissionDenied
        return row

    def shown(
        self,
        request: HttpRequest,
        template: str,
        title: Any,
        original: models.Model | None = None,
        **more: Any,
    ) -> TemplateResponse:
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "original": original,
            "title": title,
            **more,
        }
        return TemplateResponse(request, template, context)
