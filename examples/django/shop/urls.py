"""The addresses of the shop."""

from django.urls import path
from orders import views

urlpatterns = [path("orders/<name>/<int:items>", views.place), path("invoices/<name>", views.invoice)]
